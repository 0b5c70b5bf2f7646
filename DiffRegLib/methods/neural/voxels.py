"""A network of voxels at low resolution, which goes before the field: the multi-resolution hybrid of NePhi.

It predicts a displacement at each voxel of a coarse grid, learns by the correlation of the images and gradient inverse
consistency of finite differences (L. Tian et al., GradICON, CVPR 2023, eq. 4), and is frozen then: the field learns
what is left (NePhi, ECCV 2024, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from DiffRegLib import ops
from DiffRegLib.geometry import Lattice
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.encoder import seen_grid
from DiffRegLib.methods.neural.frame import Frame
from DiffRegLib.transforms import DisplacementField

FILTERS = (16, 32, 64)
"""Channels after each halving of the resolution."""


class VoxelNetwork(nn.Module):
    """(1, 2, D, H, W) fixed and moving intensities in [0, 1] -> (dimension, D, H, W) displacements, zero at first.

    A U-net whose skips join by addition. Displacements are in the unit of `Frame`, along its axes. width: voxels of
    the grid's longest side. dimension: 2 looks at one slice, D = 1.
    """

    def __init__(self, width: int, dimension: int, generator: torch.Generator) -> None:
        super().__init__()
        self.width, self.dimension = width, dimension
        kernel = (3, 3, 3) if dimension == 3 else (1, 3, 3)
        padding, stride = tuple(k // 2 for k in kernel), tuple(1 + k // 2 for k in kernel)
        with torch.random.fork_rng([]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            self.first = nn.Conv3d(2, FILTERS[0], kernel, 1, padding)
            self.down = nn.ModuleList(
                nn.Conv3d(a, b, kernel, stride, padding) for a, b in zip((FILTERS[0], *FILTERS), FILTERS)
            )
            self.up = nn.ModuleList(
                nn.Conv3d(a, b, kernel, 1, padding) for a, b in zip(FILTERS[::-1], (*FILTERS[-2::-1], FILTERS[0]))
            )
            self.last = nn.Conv3d(FILTERS[0], dimension, kernel, 1, padding)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, pair: Tensor) -> Tensor:
        """The displacements."""
        skips = [nn.functional.leaky_relu(self.first(pair), 0.2)]
        for layer in self.down:
            skips.append(nn.functional.leaky_relu(layer(skips[-1]), 0.2))
        features = skips.pop()
        for layer in self.up:
            skip = skips.pop()
            wide = nn.functional.interpolate(features, skip.shape[2:], mode="nearest")
            features = nn.functional.leaky_relu(layer(wide) + skip, 0.2)
        return self.last(features)[0]

    def transform(self, fixed: Lattice, pair: Tensor) -> DisplacementField:
        """What is predicted for a pair, fixed to moving in RAS mm, on a coarse grid over the fixed image."""
        frame = Frame.of(fixed)
        with torch.no_grad():
            moved = frame.outward(self(pair).movedim(0, -1))
        lattice = seen_grid(fixed, self.width)
        return DisplacementField(Image(moved.movedim(-1, 0).contiguous(), lattice.affine))

    def loss(self, fixed: Lattice, pair: Tensor) -> tuple[Tensor, Tensor]:
        """1 - NCC and the gradient inverse consistency of one pair, each the mean of both directions."""
        grid = Sites(fixed, pair.shape[2:])
        there, back = self(pair), self(pair.flip(1))
        similarity = sum(
            1 - _correlation(grid.read(pair[:, 1 - n], moved)[0], pair[0, n].reshape(-1))
            for n, moved in enumerate((there, back))
        )
        inconsistency = sum(grid.inconsistency(a, b) for a, b in ((there, back), (back, there)))
        return similarity / 2, inconsistency / 2


class Sites:
    """The voxels of the coarse grid in the frame of the fixed image."""

    def __init__(self, fixed: Lattice, shape: tuple[int, ...]) -> None:
        self._half, self._shape = Frame.of(fixed).half.float(), shape
        axes = [(torch.arange(n) + 0.5) / n * 2 - 1 for n in shape]
        z, y, x = torch.meshgrid(*axes, indexing="ij")
        self._points = torch.stack((x, y, z)[: len(self._half)], -1).reshape(-1, len(self._half)) * self._half

    def read(self, volume: Tensor, moved: Tensor) -> Tensor:
        """(C, N) values of a volume (C, D, H, W) at the displaced voxels; the nearest ones count beyond its faces."""
        at = (self._points + moved.flatten(1).T) / self._half
        edge = torch.tensor([1 - 1 / n for n in self._shape[::-1]][: at.shape[1]])
        at = torch.maximum(torch.minimum(at, edge), -edge)
        return ops.sample(volume[None], nn.functional.pad(at, (0, 3 - at.shape[1]))[None])[0]

    def inconsistency(self, there: Tensor, back: Tensor) -> Tensor:
        """Mean squared entry of d(back(there(x)) - x)/dx, by differences of neighboring voxels."""
        left = (there.flatten(1) + self.read(back, there)).view_as(there)
        terms = []
        for axis, half in enumerate(self._half, 1):
            dimension = left.ndim - axis
            step = 2 * float(half) / self._shape[-axis]
            if left.shape[dimension] > 1:
                terms.append((left.diff(dim=dimension) / step).square().mean())
        return torch.stack(terms).mean() if terms else left.sum() * 0


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    first, second = first - first.mean(), second - second.mean()
    return (first @ second) / (first.norm() * second.norm()).clamp(min=1e-12)
