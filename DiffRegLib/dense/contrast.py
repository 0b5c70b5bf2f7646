"""What of two images is compared: their features on the grids of a level, and how they differ under a transform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from DiffRegLib.dense.lattice import averaging, coarsened
from DiffRegLib.dense.noise import Noise
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.ops import sample
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.similarity import Neighborhoods, mind_ssc

Feature = Literal["mind", "lncc"]
SLICES = 16
"""Of an image, that are brought to a coarser grid at a time."""
COARSER = 1.1
"""Times the spacing of an image from which a grid counts as coarser."""


@dataclass(frozen=True)
class Side:
    """One image as it is compared: values scaled to a contrast of 1, and where it counts, (1, D, H, W) each.

    scanned: (3,) mm, voxels of the image as it was; blur: (3,) mm by which it has been blurred since.
    """

    image: Image
    mask: Image | None
    scanned: Tensor
    blur: Tensor

    @classmethod
    def of(cls, image: Image, mask: Image | None, finest: float = 0.0) -> Side:
        """image: (1, D, H, W); mask: above 0 where the image counts, on any grid in the same frame.

        finest: mm, voxels that no level undercuts; an image that is finer is brought to them once, slab by slab, so
        that of a large one neither a copy is kept nor every level reads it all.
        """
        if mask is not None:
            same = mask.shape == image.shape and torch.allclose(mask.affine, image.affine, atol=1e-3)
            mask = mask if same else mask.resample(image, mode="nearest")
            mask = Image((mask.data[:1] > 0).to(image.data), image.affine)
        seen = image.data.flatten() if mask is None else image.data[mask.data > 0]
        low, high = (float(q) for q in quantiles(seen, THRESHOLDS.window))
        contrast = high - low if high > low else 1.0
        beyond = THRESHOLDS.clip * contrast

        def scaled(values: Tensor) -> Tensor:
            return values.clamp(low - beyond, high + beyond) / contrast

        still, lattice = torch.zeros(3, dtype=torch.float64), coarsened(image, finest or float(image.spacing.min()))
        blur = _blur(lattice, image.spacing)
        if mask is not None or not blur.any():
            return cls(Image(scaled(image.data), image.affine), mask, image.spacing, still)
        along_k, along_j, along_i = averaging(lattice, image, image.data, blur)
        planes = [along_j @ (scaled(slab) @ along_i.T) for slab in image.data[0].split(SLICES)]
        data = torch.tensordot(along_k, torch.cat(planes), 1)
        return cls(Image(data[None], lattice.affine), None, image.spacing, blur)

    def at(self, spacing: float) -> tuple[Tensor, Tensor | None, Geometry]:
        """Values and mask (D, H, W) on the grid coarsened to `spacing` mm, and that grid.

        What the mask excludes has no influence; in its place is the mean of what it does not.
        """
        lattice = coarsened(self.image, spacing)
        rest = (_blur(lattice, self.scanned) ** 2 - self.blur**2).clamp(min=0).sqrt()  # variances add up
        matrices = averaging(lattice, self.image, self.image.data, rest)
        values = self.image.data[0]
        if self.mask is None:
            return filter_axes(values, matrices), None, lattice
        mask = self.mask.data[0]
        mean = (values * mask).sum() / mask.sum().clamp(min=1)
        share = filter_axes(mask, matrices)
        values = mean + filter_axes((values - mean) * mask, matrices) / share.clamp(min=THRESHOLDS.empty)
        return values, (share > THRESHOLDS.inside).to(values), lattice


def _blur(lattice: Geometry, spacing: Tensor) -> Tensor:
    """(3,) mm: half a voxel of the lattice along the axes where it is coarser than `spacing`."""
    return torch.where(lattice.spacing > COARSER * spacing, 0.5 * lattice.spacing, 0.0)


def quantiles(values: Tensor, shares: tuple[float, ...], most: int = 1 << 20) -> Tensor:
    """Quantiles of (N,) values, of every k-th where there are many."""
    values = values[:: math.ceil(len(values) / most)]
    return values.quantile(torch.tensor(shares).to(values))


@dataclass(frozen=True)
class Difference:
    """How the fixed and the warped features differ in every voxel of a level.

    residual: (K, D, H, W). gradient: (3, K, D, H, W) of the warped ones in 1/mm, RAS. weight: (D, H, W), with what
    does not fit counting less. scale: of the squared residuals, see `Noise`. energy: in mm^3 of the fixed image.
    mean_square: of the residuals, where there is something to see.
    """

    residual: Tensor
    gradient: Tensor
    weight: Tensor
    scale: float
    energy: float
    mean_square: float


class Contrast:
    """The features of two images at one level."""

    def __init__(self, fixed: Side, moving: Side, spacing: float, feature: Feature) -> None:
        """spacing: voxels in mm; an image that is coarser along an axis keeps its own there."""
        self.feature = feature
        values, mask, self.lattice = fixed.at(spacing)
        moving_values, moving_mask, self._moving_lattice = moving.at(spacing)
        self._weight = torch.ones_like(values) if mask is None else mask
        mind, t = feature == "mind", THRESHOLDS
        self._least = t.least_variance_mind if mind else t.least_variance_lncc
        self._freedom = t.freedom_mind if mind else t.freedom_lncc
        if mind:
            self._fixed, carried = mind_ssc(values), mind_ssc(moving_values)
            self._weight = _eroded(self._weight)
            moving_mask = None if moving_mask is None else _eroded(moving_mask)
            textured = (self._fixed.amin(0) < 1 - THRESHOLDS.flat).to(values)
        else:
            self._fixed, carried = values[None], moving_values[None]
            self._sigma = [
                THRESHOLDS.neighborhood * float(self.lattice.spacing.min() / s) for s in self.lattice.spacing.flip(0)
            ]
            normalized = Neighborhoods(self._fixed, self._sigma, THRESHOLDS.floor).normalized(self._fixed)[0]
            textured = Neighborhoods(normalized, self._sigma).mean(normalized**2)
        self.textured = textured
        masks = [] if moving_mask is None else [moving_mask[None]]
        self._masked = bool(masks)
        self._moving = torch.cat([carried, *masks])[None].contiguous()
        self._edge = 1 - 1 / self._moving_lattice.size.to(values)
        self._to_world = torch.linalg.inv(self.lattice.affine[:3, :3]).T.to(values)

    @property
    def device(self) -> torch.device:
        return self._fixed.device

    def difference(self, points: Tensor) -> Difference:
        """points: (N, 3) RAS mm in the moving frame, where the voxels of the level's lattice are carried."""
        normalized = self._moving_lattice.normalize(points)
        inside = (normalized.abs() <= 1).all(-1).reshape(self.lattice.shape)
        normalized = torch.minimum(torch.maximum(normalized, -self._edge), self._edge)
        warped = sample(self._moving, normalized[None])[0].unflatten(-1, self.lattice.shape)
        weight = self._weight * inside
        if self._masked:
            weight, warped = weight * warped[-1], warped[:-1]
        fixed = self._fixed
        if self.feature == "lncc":
            local = Neighborhoods(fixed, self._sigma, THRESHOLDS.floor, weight)
            fixed, warped = local.normalized(fixed), local.normalized(warped)
        residual = fixed - warped
        squared = (residual**2).mean(0)
        seen = max(float((weight * self.textured).sum()), 1.0)
        noise = Noise.of(squared, weight, seen, self._least, self._freedom)
        volume = float((self._weight * self.textured).sum() * self.lattice.spacing.prod())
        mean_square = float((weight * squared).sum()) / seen
        return Difference(
            residual, self._gradient(warped), noise.weight, noise.scale, volume * noise.energy, mean_square
        )

    def _gradient(self, warped: Tensor) -> Tensor:
        along_kji = torch.gradient(warped, dim=(1, 2, 3))
        return torch.einsum("rx,xkdhw->rkdhw", self._to_world, torch.stack(along_kji[::-1]))


def _eroded(mask: Tensor) -> Tensor:
    """(D, H, W) without the voxels whose patches reach beyond the mask."""
    if bool((mask > THRESHOLDS.inside).all()):
        return mask
    inner = -torch.nn.functional.max_pool3d(-mask[None], 3, 1, 1)[0]
    return inner if float(inner.sum()) > (1 - THRESHOLDS.eroded) * float(mask.sum()) else mask
