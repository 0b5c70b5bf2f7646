"""What of two images is compared: their features on the grids of a level, and how they differ under a transform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from DiffRegLib.dense.lattice import averaging, coarsened
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.ops import sample
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.similarity import Neighborhoods, mind_ssc

Feature = Literal["mind", "lncc"]

WINDOW = (0.02, 0.98)
"""Quantiles of an image between which its contrast is counted."""
CLIP = 0.5
"""How far beyond them values may lie, as a fraction of their distance: metal and noise shine no brighter."""
FLOOR = 0.03
"""Standard deviation below which a neighborhood is flat, in units of that distance: 30 HU in a CT of the trunk."""
NEIGHBORHOOD = 4.0
"""Standard deviation of the neighborhoods of the local correlation, in voxels of the level."""
LEAST_VARIANCE = {"mind": 1e-4, "lncc": 1e-3}
"""Residual variance that is not undercut: two images that agree to so much are equal."""
FLAT = 1e-3
"""How far the least of a voxel's self-similarities must be from 1 for it to show anything."""
EMPTY, HALF = 1e-3, 0.5
"""Share of a voxel inside a mask below which nothing is known of it, and from which on it counts."""
MOST_ERODED = 0.7
"""Share of a mask that its erosion may take away; of a thinner one the border counts, too."""


@dataclass(frozen=True)
class Side:
    """One image as it is compared: values scaled to a contrast of 1, and where it counts, (1, D, H, W) each."""

    image: Image
    mask: Image | None

    @classmethod
    def of(cls, image: Image, mask: Image | None) -> Side:
        """image: (1, D, H, W); mask: above 0 where the image counts, on any grid in the same frame."""
        if mask is not None:
            same = mask.shape == image.shape and torch.allclose(mask.affine, image.affine, atol=1e-3)
            mask = mask if same else mask.resample(image, mode="nearest")
            mask = Image((mask.data[:1] > 0).to(image.data), image.affine)
        seen = image.data.flatten() if mask is None else image.data[mask.data > 0]
        low, high = (float(q) for q in quantiles(seen, WINDOW))
        contrast = high - low if high > low else 1.0
        data = image.data.clamp(low - CLIP * contrast, high + CLIP * contrast) / contrast
        return cls(Image(data, image.affine), mask)

    def at(self, spacing: float) -> tuple[Tensor, Tensor | None, Geometry]:
        """Values and mask (D, H, W) on the grid coarsened to `spacing` mm, and that grid.

        What the mask excludes has no influence; in its place is the mean of what it does not.
        """
        lattice = coarsened(self.image, spacing)
        matrices = averaging(lattice, self.image, self.image.data)
        values = self.image.data[0]
        if self.mask is None:
            return filter_axes(values, matrices), None, lattice
        mask = self.mask.data[0]
        mean = (values * mask).sum() / mask.sum().clamp(min=1)
        share = filter_axes(mask, matrices)
        values = mean + filter_axes((values - mean) * mask, matrices) / share.clamp(min=EMPTY)
        return values, (share > HALF).to(values), lattice


def quantiles(values: Tensor, shares: tuple[float, ...], most: int = 1 << 20) -> Tensor:
    """Quantiles of (N,) values, of every k-th where there are many."""
    values = values[:: math.ceil(len(values) / most)]
    return values.quantile(torch.tensor(shares).to(values))


@dataclass(frozen=True)
class Difference:
    """How the fixed and the warped features differ in every voxel of a level.

    residual: (K, D, H, W). gradient: (3, K, D, H, W) of the warped ones in 1/mm, RAS. weight: (D, H, W). variance: of
    the residual, where there is something to see. volume: of that region, mm^3.
    """

    residual: Tensor
    gradient: Tensor
    weight: Tensor
    variance: float
    volume: float

    @property
    def energy(self) -> float:
        """Half the negative log-likelihood of normal residuals, whose variance is estimated along with them, mm^3."""
        return 0.5 * self.volume * math.log(self.variance)


class Contrast:
    """The features of two images at one level."""

    def __init__(self, fixed: Side, moving: Side, spacing: float, feature: Feature) -> None:
        """spacing: voxels in mm; an image that is coarser along an axis keeps its own there."""
        self.feature = feature
        values, mask, self.lattice = fixed.at(spacing)
        moving_values, moving_mask, self._moving_lattice = moving.at(spacing)
        self._weight = torch.ones_like(values) if mask is None else mask
        if feature == "mind":
            self._fixed, carried = mind_ssc(values), mind_ssc(moving_values)
            self._weight = _eroded(self._weight)
            moving_mask = None if moving_mask is None else _eroded(moving_mask)
            textured = (self._fixed.amin(0) < 1 - FLAT).to(values)
        else:
            self._fixed, carried = values[None], moving_values[None]
            self._sigma = [NEIGHBORHOOD * float(self.lattice.spacing.min() / s) for s in self.lattice.spacing.flip(0)]
            normalized = Neighborhoods(self._fixed, self._sigma, FLOOR).normalized(self._fixed)[0]
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
            local = Neighborhoods(fixed, self._sigma, FLOOR, weight)
            fixed, warped = local.normalized(fixed), local.normalized(warped)
        residual = fixed - warped
        seen = float((weight * self.textured).sum())
        variance = float((weight * (residual**2).sum(0)).sum()) / max(seen * len(residual), 1.0)
        return Difference(
            residual,
            self._gradient(warped),
            weight,
            max(variance, LEAST_VARIANCE[self.feature]),
            float((self._weight * self.textured).sum() * self.lattice.spacing.prod()),
        )

    def _gradient(self, warped: Tensor) -> Tensor:
        along_kji = torch.gradient(warped, dim=(1, 2, 3))
        return torch.einsum("rx,xkdhw->rkdhw", self._to_world, torch.stack(along_kji[::-1]))


def _eroded(mask: Tensor) -> Tensor:
    """(D, H, W) without the voxels whose patches reach beyond the mask."""
    if bool((mask > HALF).all()):
        return mask
    inner = -torch.nn.functional.max_pool3d(-mask[None], 3, 1, 1)[0]
    return inner if float(inner.sum()) > (1 - MOST_ERODED) * float(mask.sum()) else mask
