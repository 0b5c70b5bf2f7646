"""From two images to the transform between them: affine, then a deformation, from coarse to fine."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from DiffRegLib.dense.contrast import Contrast, Feature, Side
from DiffRegLib.dense.descent import AffineProblem, FlowProblem, Step, descend
from DiffRegLib.dense.flow import flow
from DiffRegLib.dense.landmarks import Landmarks
from DiffRegLib.dense.lattice import coarsened
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.splines import Splines
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.transforms import Affine, Transform

ALIKE = 0.3
"""Local correlation of two images, as self-similarity has aligned them, above which they are of one kind."""
COARSE, MEDIUM = 2.0, 3.0
"""Least spacing of the control points in voxels of the level: at the coarse ones, at the one before the details."""


@dataclass(frozen=True)
class Level:
    """A part of the recipe; spacing of voxels and of control points in mm."""

    stage: str
    feature: Feature
    spacing: float
    iterations: int
    control: float = 0.0


@dataclass(frozen=True)
class Alignment:
    """What the recipe found: x -> placement(flow(x)), with the flow of the velocity of spline coefficients."""

    placement: Transform
    splines: Splines
    coefficients: Tensor
    feature: Feature


Observe = Callable[[Level, int, Step], None]
"""Called after every iteration with the level, its number and the step."""


def align(
    fixed: Image,
    moving: Image,
    options: DenseOptions,
    start: Transform,
    masks: tuple[Image | None, Image | None] = (None, None),
    landmarks: tuple[Tensor, Tensor] | None = None,
    observe: Observe = lambda level, number, step: None,
) -> Alignment:
    """Brings the moving image onto the fixed one, (1, D, H, W) each on one device.

    start: fixed -> moving; an affine is improved first, another one is kept as it is before the flow. masks: where the
    images count. landmarks: (N, 3) pairs in RAS mm, of the fixed and the moving side. Improves the affine, then the
    coefficients of a velocity field, level by level; where the images turn out to be of two kinds, self-similarity
    stays to the end.
    """
    sides = Side.of(fixed, masks[0]), Side.of(moving, masks[1])
    pairs = None if landmarks is None else Landmarks(*(p.to(fixed.data) for p in landmarks), options.landmark_error)
    finest = finest_voxel(fixed.geometry, options)
    parts = levels(finest, options)
    placement, number = _placed(fixed, moving, start, finest), 0
    splines = coefficients = None
    feature = None if options.similarity == "auto" else options.similarity
    for number, level in enumerate(parts):
        if level.stage == "affine" and not isinstance(placement, Affine):
            continue
        if level.stage == "details":
            feature = feature or _feature(sides, level, splines, coefficients, placement)
            level = dataclasses.replace(level, feature=feature)
        contrast = Contrast(*sides, level.spacing, level.feature)
        watch = functools.partial(observe, level, number)
        if level.stage == "affine":
            problem = AffineProblem(contrast, pairs)
            placement = descend(problem, placement, level.iterations, level.spacing, watch)
            continue
        splines, coefficients = _refined(splines, coefficients, Splines(fixed, level.control, fixed.data))
        problem = FlowProblem(contrast, splines, placement, options.stiffness, pairs)
        coefficients = descend(problem, coefficients, level.iterations, level.spacing, watch)
    return Alignment(placement, splines, coefficients, feature)


def levels(finest: float, options: DenseOptions) -> tuple[Level, ...]:
    """The parts of the recipe. finest: voxel of the finest level in mm."""
    o, control = options, options.control_spacing * finest
    coarse = [finest * 2**k for k in range(6, 1, -1) if 2**k <= o.coarsest]
    affine = [Level("affine", "mind", s, o.affine_iterations) for s in coarse] if o.affine else []
    deform = [Level("deformation", "mind", s, o.coarse_iterations, max(control, COARSE * s)) for s in coarse]
    medium = Level("deformation", "mind", 2 * finest, o.coarse_iterations, max(control, MEDIUM * 2 * finest))
    fine = Level("details", "lncc", 2 * finest, o.fine_iterations, control)
    last = [Level("details", "lncc", finest, o.finest_iterations, control)] if o.finest_iterations else []
    return (*affine, *deform, medium, fine, *last)


def finest_voxel(geometry: Geometry, options: DenseOptions) -> float:
    """mm: as asked, or the finest of the image; coarser where that makes too many voxels."""
    voxel = options.voxel or float(geometry.spacing.min())
    while coarsened(geometry, voxel).size.prod() > 1e6 * options.voxels:
        voxel *= 1.05
    return voxel


def _placed(fixed: Image, moving: Image, start: Transform, finest: float) -> Transform:
    """An affine as it is; another transform as a displacement on the fixed grid, which is read fast."""
    if isinstance(start, Affine):
        return start
    return start.displacement(coarsened(fixed, finest), fixed.device)


def _feature(
    sides: tuple[Side, Side], level: Level, splines: Splines, coefficients: Tensor, placement: Transform
) -> Feature:
    """Local correlation where it holds between the images as they are aligned by now, else self-similarity."""
    contrast = Contrast(*sides, level.spacing, "lncc")
    velocity = filter_axes(coefficients, splines.matrices(splines.nodes))
    points = contrast.lattice.grid(contrast.device).reshape(-1, 3)
    variance = contrast.difference(placement(flow(velocity, splines.nodes, points))).variance
    return "lncc" if 1 - variance / 2 > ALIKE else "mind"  # of two normalized values with correlation r: 2 (1 - r)


def _refined(splines: Splines | None, coefficients: Tensor | None, finer: Splines) -> tuple[Splines, Tensor]:
    """The same velocity field on the control points of `finer`."""
    if splines is None:
        return finer, finer.zeros()
    field = filter_axes(coefficients, splines.matrices(finer.nodes))
    return finer, finer.fit(field, finer.nodes)
