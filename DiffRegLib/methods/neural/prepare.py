"""What is compared at a level: both images at its blur and spacing, as features, and the way between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.geometry import Lattice
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.features import (
    WEIGHTS,
    common_blur,
    feature_volume,
    level_spacing,
    moving_lattice,
    smoothed,
)
from DiffRegLib.methods.neural.loss import Route
from DiffRegLib.transforms import Affine, Transform, fit_affine

CLIPPED = 0.001
"""Share of the voxels at either end of the intensities that is clipped: metal, and what corners are filled with."""
ALIKE = 0.3
"""Correlation of the images' grey values at the start below which they may be of two modalities."""
LOOKED_AT = 48
"""Voxels of the longest side at which that correlation is taken."""
CORNERS = 6
"""Points along each axis of the grid to which an affine is fitted where the initial transform is not one."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images (one channel), their masks or None, and where the registration begins.

    initial: T = initial after field, None for nothing before. back: its inverse.
    """

    fixed: Image
    moving: Image
    fixed_mask: Image | None = None
    moving_mask: Image | None = None
    initial: Transform | None = None
    back: Transform | None = None

    def routes(self, kind: str, blur: float, spacing: float) -> tuple[Route, Route]:
        """Both directions between the features of a level; blur and spacing in mm."""
        step = level_spacing(self.fixed, spacing)
        blurs = common_blur(self.fixed, self.moving, blur), common_blur(self.moving, self.fixed, blur)
        fixed = smoothed(self.fixed, step, blurs[0], limits(self.fixed))
        moving = smoothed(self.moving, step, blurs[1], limits(self.moving))
        lattice = moving_lattice(fixed.geometry, self.moving, linear_part(self.initial, self.fixed))
        if lattice.shape != moving.shape or not torch.allclose(lattice.affine, moving.affine, atol=1e-4):
            moving = moving.resample(lattice, outside="border")
        first = feature_volume(fixed, kind, self.fixed_mask)
        second = feature_volume(moving, kind, self.moving_mask)
        weights = WEIGHTS[kind]
        return Route(first, second, None, self.initial, weights), Route(second, first, self.back, None, weights)


def likeness(pair: Pair) -> float:
    """The correlation of both images' grey values where both are, at the start; 0 where they do not meet."""
    lattice = pair.fixed.geometry.resized(float((pair.fixed.size * pair.fixed.spacing).max()) / LOOKED_AT)
    points = lattice.grid().reshape(-1, 3)
    there = points if pair.initial is None else pair.initial(points)
    inside = pair.moving.contains(there)
    sides = [
        image.sample(at[inside], outside="border")[0].clamp(*limits(image))
        for image, at in ((pair.fixed, points), (pair.moving, there))
    ]
    if len(sides[0]) < 2 or min(float(side.std()) for side in sides) == 0:
        return 0.0
    return float(torch.corrcoef(torch.stack(sides))[0, 1])


def chosen_similarity(asked: str, pair: Pair) -> tuple[str, str]:
    """The similarity for `asked`, which may be "auto", and a sentence where another one would be better."""
    alike = likeness(pair)
    if asked == "auto":
        return ("mixed" if alike >= ALIKE else "mind"), ""
    if asked == "mind" or alike >= ALIKE:
        return asked, ""
    return asked, (
        f"The grey values of the two images correlate by {alike:.2f} at the start: if they are of two modalities, "
        f"mind is a better similarity than {asked}."
    )


def limits(image: Image) -> tuple[float, float]:
    """The intensities between which all voxels but the extremes lie."""
    values = image.data[0].flatten()[:: max(1, image.data[0].numel() // 200_000)]
    low, high = torch.quantile(values, torch.tensor([CLIPPED, 1 - CLIPPED], device=values.device)).tolist()
    return (low, high) if high > low else (float(image.data.min()), float(image.data.max()))


def linear_part(transform: Transform | None, lattice: Lattice) -> Tensor:
    """(4, 4) the affine that a transform is, or that fits it best on the box of a grid."""
    if transform is None:
        return torch.eye(4, dtype=torch.float64)
    if isinstance(transform, Affine):
        return transform.matrix
    axes = [torch.linspace(0, float(n) - 1, CORNERS if n > 1 else 1, dtype=torch.float64) for n in lattice.size]
    points = lattice.to_world(torch.cartesian_prod(*axes))
    if lattice.shape[0] == 1:
        points = torch.cat((points, points + lattice.affine[:3, 2]))
    with torch.no_grad():
        return fit_affine(points, transform(points.float()).double()).matrix
