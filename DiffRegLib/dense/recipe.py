"""From two images to the transform between them: affine, then a deformation, from coarse to fine."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.dense.contrast import Contrast, Feature, Side
from DiffRegLib.dense.descent import AffineProblem, FlowProblem, Step, descend
from DiffRegLib.dense.flow import flow
from DiffRegLib.dense.landmarks import Landmarks
from DiffRegLib.dense.lattice import coarsened
from DiffRegLib.dense.logarithm import separated
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.splines import Splines
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.ops.device import release_freed
from DiffRegLib.transforms import Affine, Transform


@dataclass(frozen=True)
class Level:
    """One resolution of a part of the recipe; spacing of voxels and of control points in mm."""

    part: str
    feature: Feature
    spacing: float
    iterations: int
    control: float = 0.0
    stiffness: float = 0.0

    @property
    def stage(self) -> str:
        """What distinguishes its energy from that of the other levels."""
        return f"{self.part}, {self.spacing:.3g} mm"


@dataclass(frozen=True)
class Alignment:
    """What the recipe found: x -> placement(flow(x)), with the flow of the velocity of spline coefficients."""

    placement: Affine
    splines: Splines
    coefficients: Tensor
    feature: Feature

    @property
    def velocity(self) -> Tensor:
        """(3, D, H, W) mm on the nodes of the splines."""
        return filter_axes(self.coefficients, self.splines.matrices(self.splines.nodes))

    def __call__(self, points: Tensor) -> Tensor:
        """(N, 3) RAS mm, fixed -> moving."""
        return self.placement(flow(self.velocity, self.splines.nodes, points))


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

    start: fixed -> moving; an affine is improved first, of another transform the flow goes on. masks: where the
    images count. landmarks: (N, 3) pairs in RAS mm, of the fixed and the moving side. Improves the affine, then the
    coefficients of a velocity field, level by level; where the images turn out to be of two kinds, self-similarity
    stays to the end. Raises `RegistrationError` where the images look less alike in the end than at the start.
    """
    start = start.to("cpu") if isinstance(start, Affine) else start  # small matrices are solved there on every device
    pairs = None if landmarks is None else Landmarks(*(p.to(fixed.data) for p in landmarks), options.landmark_weight)
    parts = levels(finest_voxel(fixed.geometry, options), options)
    finest = min(level.spacing for level in parts)
    found = _started(fixed, start, parts[-1].control)
    moving = moving.along(found.placement.matrix[:3, :3] @ fixed.affine[:3, :3])  # self-similarity has directions
    sides = Side.of(fixed, masks[0], finest), Side.of(moving, masks[1], finest)
    feature = None if options.similarity == "auto" else options.similarity
    for number, level in enumerate(parts):
        if level.part == "details":
            feature = feature or _feature(sides, level, found)
            level = dataclasses.replace(level, feature=feature)
        if level.part == "affine" and not isinstance(start, Affine):
            continue
        release_freed()
        contrast = Contrast(*sides, level.spacing, level.feature)
        watch = functools.partial(observe, level, number)
        if level.part == "affine":
            problem = AffineProblem(contrast, start, level.stiffness, pairs)
            placement = descend(problem, found.placement, level.iterations, level.spacing, watch)
            found = dataclasses.replace(found, placement=placement)
            continue
        found = _refined(found, Splines(fixed, level.control, fixed.data))
        problem = FlowProblem(contrast, found.splines, found.placement, level.stiffness, pairs)
        coefficients = descend(problem, found.coefficients, level.iterations, level.spacing, watch)
        found = dataclasses.replace(found, coefficients=coefficients, feature=level.feature)
    _check_better(contrast, found, start)
    return found


def levels(finest: float, options: DenseOptions) -> tuple[Level, ...]:
    """The parts of the recipe. finest: voxel of the finest level in mm."""
    o, t, control = options, THRESHOLDS, options.control_spacing * finest
    coarse = [finest * 2**k for k in range(6, 1, -1) if 2**k <= o.coarsest]
    stiff, steps = o.stiffness * t.coarse_stiffness, o.coarse_iterations
    affine = [Level("affine", "mind", s, o.affine_iterations, 0.0, stiff) for s in coarse if o.affine]
    deform = [Level("deformation", "mind", s, steps, max(control, t.coarse_control * s), stiff) for s in coarse]
    spacing, stiff = 2 * finest, o.stiffness * t.medium_stiffness
    medium = Level("deformation", "mind", spacing, steps, max(control, t.medium_control * spacing), stiff)
    fine = Level("details", "lncc", spacing, o.fine_iterations, control, o.stiffness)
    last = Level("details", "lncc", finest, o.finest_iterations, control, o.stiffness)
    return (*affine, *deform, medium, fine, *([last] if o.finest_iterations else []))


def finest_voxel(geometry: Geometry, options: DenseOptions) -> float:
    """mm: as asked, or the finest of the image; coarser where that makes too many voxels."""
    voxel = options.voxel or float(geometry.spacing.min())
    while coarsened(geometry, voxel).size.prod() > 1e6 * options.voxels:
        voxel *= 1.05
    return voxel


def _started(fixed: Image, start: Transform, control: float) -> Alignment:
    """An affine as it is; of another transform, its affine and its flow."""
    splines = Splines(fixed, control, fixed.data)
    if isinstance(start, Affine):
        return Alignment(start, splines, splines.zeros(), "mind")
    affine, coefficients = separated(start, splines)
    return Alignment(affine, splines, coefficients, "mind")


def _feature(sides: tuple[Side, Side], level: Level, found: Alignment) -> Feature:
    """Local correlation where it holds between the images as they are aligned by now, else self-similarity."""
    contrast = Contrast(*sides, level.spacing, "lncc")
    difference = contrast.difference(found(contrast.lattice.grid(contrast.device).reshape(-1, 3)))
    alike = 1 - difference.mean_square / 2  # normalized values with correlation r differ by 2 (1 - r) in the mean
    return "lncc" if alike > THRESHOLDS.alike else "mind"


def _check_better(contrast: Contrast, found: Alignment, start: Transform) -> None:
    points = contrast.lattice.grid(contrast.device).reshape(-1, 3)
    before, after = (contrast.difference(place(points)).mean_square for place in (start, found))
    mirrored = float(torch.linalg.det(found.placement.matrix[:3, :3])) <= 0
    if mirrored or after > before + THRESHOLDS.worse:
        raise RegistrationError(
            "No deformation makes these images look more alike than they do at the start: check that they show the "
            "same region, or choose another {initialization}.",
            option="initialization",
        )


def _refined(found: Alignment, finer: Splines) -> Alignment:
    """The same velocity field on the control points of `finer`."""
    field = filter_axes(found.coefficients, found.splines.matrices(finer.nodes))
    return dataclasses.replace(found, splines=finer, coefficients=finer.fit(field, finer.nodes))
