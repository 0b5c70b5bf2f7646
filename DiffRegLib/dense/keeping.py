"""Points that lie better than images of limited resolution can bring them hold what is around them in its place.

The finest level has some million voxels: vessels finer than those are seen by whoever found them, not by it.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from DiffRegLib.dense.contrast import Contrast, Side
from DiffRegLib.dense.descent import FlowProblem, descend
from DiffRegLib.dense.landmarks import Landmarks
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import Alignment, Level, Observe, finest_voxel, levels
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.image import Image
from DiffRegLib.transforms import Transform


def better_points(
    fixed: Image, moving: Image, points: Tensor, start: Transform, found: Alignment
) -> tuple[Tensor, Tensor] | None:
    """Those of points (N, 3) RAS mm around which the images differ less after `start` than as found, and their ends.

    The images (1, D, H, W) are read at their own resolution. None where they differ more around the points as a whole,
    or are of two kinds, which cannot be compared by their values.
    """
    if found.feature != "lncc":
        return None
    before, after = (_difference(fixed, moving, points, place) for place in (start, found))
    if float(before.mean()) >= float(after.mean()):
        return None
    chosen = points[before < after]
    return chosen, start(chosen)


def _difference(fixed: Image, moving: Image, points: Tensor, place: Transform | Alignment) -> Tensor:
    """(N,): variance of the difference of the images around each point, whatever one is brighter by on the whole."""
    reach = torch.linspace(-THRESHOLDS.patch, THRESHOLDS.patch, 3)
    around = points[:, None] + torch.cartesian_prod(reach, reach, reach).to(points)
    ends = place(around.reshape(-1, 3)).reshape(around.shape)
    return (fixed.sample(around, outside="border") - moving.sample(ends, outside="border"))[0].var(1, correction=0)


def again(options: DenseOptions, finest: float) -> Level:
    """The last level of the recipe, once more with points. finest: voxel of the finest level in mm."""
    return dataclasses.replace(levels(finest, options)[-1], part="details and points")


def held(
    fixed: Image, moving: Image, options: DenseOptions, found: Alignment, pairs: Landmarks, observe: Observe
) -> Alignment:
    """What was found, improved once more at the finest level, with corresponding points in the energy."""
    voxel = finest_voxel(fixed.geometry, options)
    level = dataclasses.replace(again(options, voxel), feature=found.feature)
    contrast = Contrast(
        *(Side.of(image, None, level.spacing) for image in (fixed, moving)), level.spacing, level.feature
    )
    problem = FlowProblem(contrast, found.splines, found.placement, level.stiffness, pairs)
    number = len(levels(voxel, options))
    coefficients = descend(
        problem, found.coefficients, level.iterations, level.spacing, lambda step: observe(level, number, step)
    )
    return dataclasses.replace(found, coefficients=coefficients)
