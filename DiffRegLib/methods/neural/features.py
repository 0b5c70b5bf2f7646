"""What two images are compared by: features of their neighborhoods, on grids of one spacing, a byte each.

The features of both images are computed once a level and read at points. A level has a limit of voxels, so that its
memory does not grow with the images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.ops.axes import blurring
from DiffRegLib.similarity.mind import mind_ssc
from DiffRegLib.similarity.neighborhoods import Neighborhoods

VOXELS = 1_500_000
"""Most voxels of a level: 14 bytes each, for both images 42 MB."""
SLAB = 100_000
"""Voxels whose features are computed at a time, in floating point."""
READ = 1 << 20
"""Voxels of an image that are blurred at a time."""
HALOS = {"mind": 3, "lncc": 15, "ncc": 1}
"""Slices to both sides that the features of a slab and their slopes read."""
OWN_BLUR = 0.29
"""Standard deviation of a voxel's own box, in voxels: 1 / sqrt(12)."""
REACH = 60.0
"""mm around the fixed image in which the moving one is kept."""
EDGE = 0.5
"""Share of the points that fall where features change, in proportion; the others are drawn evenly."""
NEIGHBORHOODS = (1.5, 4.0)
"""Standard deviations of the neighborhoods of "lncc", in voxels of the level."""
NORMAL_FLOOR, NORMAL_RANGE = 0.1, 3.0
"""Of "lncc": the deviation that counts as flat, as a share of the whole volume's, and the largest normalized value."""

PATTERNS = (1 / 12,) * 12
LOCAL = (2 * NORMAL_RANGE**2 / len(NEIGHBORHOODS),) * len(NEIGHBORHOODS)
WEIGHTS = {"mind": PATTERNS, "lncc": LOCAL, "mixed": PATTERNS + LOCAL, "ncc": (1.0,)}
"""Of each channel's squared difference in the loss: patterns by their mean, "lncc" so that it becomes 1 - LNCC."""
PARTS = {"mind": ("mind",), "lncc": ("lncc",), "mixed": ("mind", "lncc"), "ncc": ("ncc",)}
"""What each kind of features consists of."""


@dataclass(frozen=True, eq=False)
class FeatureVolume:
    """`data` (D, H, W, C) uint8 on the grid `geometry` (RAS mm); `cumulated` (D H W,): share of draws up to a voxel."""

    data: Tensor
    geometry: Geometry
    cumulated: Tensor

    def to(self, device: torch.device | str) -> FeatureVolume:
        return FeatureVolume(self.data.to(device), self.geometry, self.cumulated.to(device))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(count, 3) voxel centers (i, j, k) drawn by their share, and their (count, C) features.

        The generator is the processor's on every device: the same points are drawn.
        """
        drawn = torch.rand(count, generator=generator, dtype=torch.float64)
        chosen = torch.searchsorted(self.cumulated, drawn.to(self.cumulated.device))
        chosen = chosen.clamp(max=len(self.cumulated) - 1)
        depth, height, width = self.geometry.shape
        rest = chosen // width
        index = torch.stack((chosen % width, rest % height, rest // height), -1)
        return index.float(), self.data.view(-1, self.data.shape[-1])[chosen]


def smoothed(image: Image, lattice_spacing: float, blur: Tensor, limits: tuple[float, float]) -> Image:
    """The image at about `lattice_spacing` mm, never finer than it is.

    blur: (3,) mm along i, j, k, what the voxels blur among it. limits: of the intensities, clipped before. Blurring and
    reading are one matrix an axis, applied to some slices at a time: no copy of the whole image is made.
    """
    own = image.spacing
    wanted = torch.tensor([max(lattice_spacing, float(s)) for s in own], dtype=torch.float64)
    size = torch.ceil(image.size * own / wanted - 1e-3).clamp(min=1)
    affine = image.affine.clone()
    affine[:3, :3] *= image.size / size
    affine[:3, 3] = image.to_world(image.size / size / 2 - 0.5)
    rows = [_blurring(int(image.size[a]), int(size[a]), float(blur[a] / own[a]), image.data) for a in (2, 1, 0)]
    at_once = max(1, READ // (image.shape[1] * image.shape[2]))
    slabs = [rows[1] @ (slab.clamp(*limits) @ rows[2].T) for slab in image.data[0].split(at_once)]
    planes = torch.cat(slabs)
    return Image((rows[0] @ planes.flatten(1)).view(1, -1, *planes.shape[1:]), affine)


def _blurring(count: int, wanted: int, blur: float, like: Tensor) -> Tensor:
    """(wanted, count): Gaussian means around the centers of `wanted` equal parts of `count` voxels; blur in voxels."""
    at = (torch.arange(wanted, device=like.device, dtype=like.dtype) + 0.5) * (count / wanted) - 0.5
    return blurring(at, count, math.sqrt(max(blur**2 - OWN_BLUR**2, 0.0)))


def level_spacing(lattice: Lattice, spacing: float, voxels: int = VOXELS) -> float:
    """`spacing` mm, or the larger one at which the grid has no more than `voxels`."""
    extent = lattice.size * lattice.spacing

    def count(s: float) -> float:
        return float(torch.ceil(extent / torch.clamp(lattice.spacing, min=s) - 1e-3).clamp(min=1).prod())

    while count(spacing) > voxels:
        spacing = spacing * 1.03 if spacing > 0 else float(lattice.spacing.min())
    return spacing


def common_blur(image: Image, other: Image, blur: float) -> Tensor:
    """(3,) mm along the axes of `image`: `blur`, or what the voxels of either image blur if that is more."""
    directions = image.affine[:3, :3] / image.spacing
    sides = other.affine[:3, :3] / other.spacing
    across = (directions.T @ sides).abs() @ other.spacing
    own = OWN_BLUR * torch.maximum(image.spacing, across)
    return own.clamp(min=blur)


def moving_lattice(fixed: Geometry, moving: Lattice, linear: Tensor) -> Geometry:
    """The grid of the fixed level carried over by the (4, 4) affine `linear`, where it meets the moving image."""
    carried = linear @ fixed.affine
    corners = torch.linalg.inv(carried) @ torch.cat((moving.corners().T, torch.ones(1, 8, dtype=torch.float64)))
    margin = torch.ceil(REACH / fixed.spacing)
    low = torch.maximum(torch.ceil(corners[:3].amin(1) - 1e-3), -margin)
    high = torch.minimum(torch.floor(corners[:3].amax(1) + 1e-3), fixed.size - 1 + margin)
    if fixed.shape[0] == 1:
        low[2] = high[2] = 0
    size = (high - low + 1).clamp(min=1)
    affine = carried.clone()
    affine[:3, 3] = (carried @ torch.cat((low, torch.ones(1, dtype=torch.float64))))[:3]
    return Geometry(tuple(int(n) for n in size.flip(0)), affine)


def feature_volume(image: Image, kind: str, mask: Image | None = None) -> FeatureVolume:
    """The features of a level's image, a slab at a time, and how often each voxel shall be drawn.

    kind: "mind" (MIND-SSC, 12 channels), "lncc" (intensities normalized in neighborhoods of two sizes, whose squared
    difference is 2 - 2 LNCC), "mixed" (both) or "ncc" (intensities). mask: 0 where nothing is drawn, on any grid.
    """
    volume, parts = image.data[0], PARTS[kind]
    channels = sum(len(WEIGHTS[part]) for part in parts)
    data = torch.empty(*volume.shape, channels, dtype=torch.uint8, device=volume.device)
    change, first = torch.zeros_like(volume), 0
    for part in parts:
        last = first + len(WEIGHTS[part])
        _fill(data[..., first:last], change, volume, part)
        first = last
    return FeatureVolume(data, image.geometry, _cumulated(change.sqrt_(), image, mask))


def _fill(data: Tensor, change: Tensor, volume: Tensor, part: str) -> None:
    """Writes one kind of features into data (D, H, W, C), and adds their squared slopes to change (D, H, W)."""
    describe, depth = _description(part, volume), len(volume)
    at_once = max(1, SLAB // volume[0].numel())
    for low in range(0, depth, at_once):
        high = min(low + at_once, depth)
        begin, end = max(0, low - HALOS[part]), min(depth, high + HALOS[part])
        found = describe(volume[begin:end])
        kept = slice(low - begin, high - begin)
        data[low:high] = (found[:, kept] * 255 + 0.5).to(torch.uint8).movedim(0, -1)
        change[low:high] += _squared_slopes(found)[kept]


def _description(part: str, volume: Tensor) -> Callable[[Tensor], Tensor]:
    """What makes features (C, d, H, W) in [0, 1] of a slab (d, H, W) of the volume."""
    if part == "mind":
        return mind_ssc
    if part == "ncc":
        low, high = float(volume.min()), float(volume.max())
        return lambda slab: (slab[None] - low) / max(high - low, 1e-12)
    floor = NORMAL_FLOOR * float(volume.std())

    def normalized(slab: Tensor) -> Tensor:
        found = [Neighborhoods(slab, (sigma,) * 3, floor).normalized(slab) for sigma in NEIGHBORHOODS]
        return (torch.stack(found) / (2 * NORMAL_RANGE) + 0.5).clamp(0, 1)

    return normalized


def _cumulated(change: Tensor, image: Image, mask: Image | None) -> Tensor:
    """(D H W,) float64: the share of the draws up to each voxel; `change` is used up."""
    inside = None
    if mask is not None:
        inside = mask.resample(image, mode="nearest").data[0] != 0
        change *= inside
    change *= EDGE / change.mean().clamp(min=1e-12)
    if inside is None:
        change += 1 - EDGE
    else:
        change += inside * ((1 - EDGE) / inside.float().mean().clamp(min=1e-12))
    cumulated = change.flatten().cumsum(0, dtype=torch.float64)
    return cumulated.div_(float(cumulated[-1]))


def _squared_slopes(features: Tensor) -> Tensor:
    """(D, H, W): squared length of the gradient of all channels, by central differences."""
    total = 0
    for axis in (1, 2, 3):
        if features.shape[axis] > 1:
            total = total + (torch.gradient(features, dim=axis)[0] ** 2).sum(0)
    return total
