"""What predicts the codes of a pair: convolutions with a branch for the map and a head for the shared code."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.network import Size
from DiffRegLib.methods.neural.prepare import Pair, limits

FILTERS = (8, 16, 32, 64, 128, 256)
"""Channels after each convolution, which halves the resolution; the last repeats where there are more."""
NODES = 16
"""The map of codes has the resolution that is nearest to so many nodes along the longest side."""
HEAD = 256
"""Units between the last features and the shared code."""


class Encoder(nn.Module):
    """(B, 2, D, H, W) fixed and moving intensities in [0, 1] -> shared codes (B, G) and maps of codes (B, C, d, h, w).

    width: voxels of the longest side of what it sees. dimension: 2 looks at one slice, D = 1. The features are averaged
    to a cube of two voxels before the head, so that it does not depend on the other sides.
    """

    def __init__(self, width: int, dimension: int, size: Size, generator: torch.Generator) -> None:
        super().__init__()
        self.width, self.dimension = width, dimension
        halvings = max(1, round(math.log2(width)) - 2)
        filters = [FILTERS[min(n, len(FILTERS) - 1)] for n in range(halvings)]
        self._branch = max(0, min(halvings - 1, round(math.log2(width / NODES)) - 1))
        kernel = (3, 3, 3) if dimension == 3 else (1, 3, 3)
        padding, stride = tuple(k // 2 for k in kernel), tuple(1 + k // 2 for k in kernel)
        with torch.random.fork_rng([]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            self.convolutions = nn.ModuleList(
                nn.Conv3d(a, b, kernel, stride, padding) for a, b in zip((2, *filters), filters)
            )
            self.local = nn.Conv3d(filters[self._branch], size.local_code, kernel, 1, padding)
            cells = 2**dimension
            self.head = nn.Sequential(
                nn.Linear(filters[-1] * cells, HEAD), nn.LeakyReLU(0.2), nn.Linear(HEAD, size.global_code)
            )

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Shared codes and maps of codes."""
        found, features = None, pair
        for number, convolution in enumerate(self.convolutions):
            features = nn.functional.leaky_relu(convolution(features), 0.2)
            if number == self._branch:
                found = self.local(features)
        pooled = nn.functional.adaptive_avg_pool3d(features, (2 if self.dimension == 3 else 1, 2, 2))
        return self.head(pooled.flatten(1)), found


def seen(pair: Pair, width: int) -> Tensor:
    """(1, 2, D, H, W): both images of a pair over the box of the fixed one, `width` voxels along its longest side."""
    lattice = seen_grid(pair.fixed, width)
    sides = []
    for image, transform in ((pair.fixed, None), (pair.moving, pair.initial)):
        low, high = limits(image)
        read = image.resample(lattice, transform, outside="border").data[:1]
        sides.append(((read - low) / max(high - low, 1e-12)).clamp(0, 1))
    return torch.cat(sides)[None]


def seen_grid(lattice: Lattice, width: int) -> Geometry:
    """A grid over the same box with `width` voxels along the longest side, the others in proportion."""
    extent = lattice.size * lattice.spacing
    size = torch.round(extent / extent.max() * width).clamp(min=2)
    if lattice.shape[0] == 1:
        size[2] = 1
    affine = lattice.affine.clone()
    affine[:3, :3] *= lattice.size / size
    affine[:3, 3] = lattice.to_world(lattice.size / size / 2 - 0.5)
    return Geometry(tuple(int(n) for n in size.flip(0)), affine)


def averaged(image: Image, width: int) -> Image:
    """The image at no more than `width` voxels along its longest side, by averages."""
    lattice = seen_grid(image, width)
    if lattice.shape[1] >= image.shape[1]:
        return image
    return Image(nn.functional.adaptive_avg_pool3d(image.data[:1], lattice.shape), lattice.affine)
