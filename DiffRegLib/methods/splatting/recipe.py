"""The recipe: from a start over the affine and the coarse levels to the displacements found, then the fine levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from DiffRegLib.methods.registration import Meter
from DiffRegLib.methods.splatting.deformation import Deformation
from DiffRegLib.methods.splatting.leading import Led
from DiffRegLib.methods.splatting.optimize import (
    FIT_ITERATIONS,
    Level,
    Pairs,
    Rows,
    fit_deformation,
    optimize_affine,
    optimize_deformation,
)
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.search import COUPLING, SearchPass, search
from DiffRegLib.methods.splatting.thresholds import THRESHOLDS
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Transform


@dataclass(frozen=True)
class Start:
    """A transform fixed -> moving to begin with, and whether an affine shall be fitted from there.

    number: among the starts, from 1.
    """

    transform: Transform
    affine: bool = True
    number: int = 1


@dataclass(frozen=True)
class Searched:
    """Points (N, 3) of the fixed cloud in moving space, where the search puts them (N, 3), and how far it agrees.

    agreement: the share of nodes at which the search found alone what it found together with its neighbors: near 1
    where the clouds have counterparts, below 0.3 where they have none.
    """

    points: Tensor
    targets: Tensor
    agreement: float


@dataclass(frozen=True)
class Attempt:
    """Where the recipe has come from one start: the fixed cloud in moving space, and the deformation from there.

    initial: the start followed by the affine, fixed -> moving. levels: how many have been gone through. pairs: the
    landmarks that pull, in moving space.
    """

    start: Start
    initial: Transform
    fixed: PointCloud
    deformation: Deformation | Led
    searched: Searched | None
    trace: Rows
    levels: int
    pairs: Pairs | None = None

    @property
    def agreement(self) -> float:
        """That of the search; 1 where nothing is searched."""
        return self.searched.agreement if self.searched is not None else 1.0


def coarse_steps(options: SplattingOptions, start: Start) -> int:
    """How many steps `attempt` reports."""
    passes = len(options.search_sigma) if options.search else 0
    steps = len(options.coarse_sigmas) * options.coarse_iterations + passes * len(COUPLING)
    return steps + (len(options.affine_sigmas) * options.affine_iterations if start.affine else 0)


def fine_steps(options: SplattingOptions) -> int:
    """How many steps `refine` reports."""
    return len(options.fine_sigmas) * options.fine_iterations + (FIT_ITERATIONS if options.search else 0)


def attempt(
    start: Start,
    fixed: PointCloud,
    moving: PointCloud,
    options: SplattingOptions,
    meter: Meter,
    landmarks: tuple[Tensor, Tensor] | None = None,
) -> Attempt:
    """Fits an affine, deforms stiffly at coarse levels, and searches the displacements that gradients do not reach.

    landmarks: fixed and moving (N, 3) in RAS mm that pull, or None.
    """
    initial = start.transform
    fixed = fixed.at(initial(fixed.points.cpu()).to(moving.points).detach())
    pairs = _pairs(landmarks, initial, moving, options)
    trace: Rows = ()
    affines = _levels("affine", options.affine_sigmas, options.affine_iterations, 0.0, 0, start)
    for level in affines if start.affine else ():
        step, rows = optimize_affine(fixed, moving, level, options, meter, pairs)
        initial, fixed, trace = step @ initial, fixed.at(step(fixed.points)), trace + rows
        pairs = pairs.at(step(pairs.points)) if pairs is not None else None
    both = torch.cat((fixed.points, moving.points))
    velocity = options.diffeomorphic or options.symmetric
    deformation = Deformation(both, options.control_spacing, options.smoothing_kernel, velocity)
    number = len(affines) if start.affine else 0
    coarse = _levels(
        "coarse", options.coarse_sigmas, options.coarse_iterations, options.coarse_stiffness, number, start
    )
    for level in coarse:
        deformation, rows = optimize_deformation(deformation, fixed, moving, level, options, meter, pairs)
        trace += rows
    searched = _search(deformation, fixed, moving, options, meter) if options.search else None
    return Attempt(start, initial, fixed, deformation, searched, trace, number + len(coarse), pairs)


def _pairs(
    landmarks: tuple[Tensor, Tensor] | None, initial: Transform, moving: PointCloud, options: SplattingOptions
) -> Pairs | None:
    if landmarks is None or not options.landmark_weight:
        return None
    points = initial(landmarks[0].float().cpu()).detach().to(moving.points)
    return Pairs(points, landmarks[1].to(moving.points), options.landmark_weight)


def refine(found: Attempt, moving: PointCloud, options: SplattingOptions, meter: Meter) -> Attempt:
    """Takes over the displacements that the search found, and goes through the fine levels."""
    deformation, trace = found.deformation, found.trace
    if found.searched is not None:
        pair = found.searched.points, found.searched.targets
        deformation = fit_deformation(deformation, *pair, THRESHOLDS.fit_stiffness, meter)
    fine = _levels("fine", options.fine_sigmas, options.fine_iterations, options.stiffness, found.levels, found.start)
    for level in fine:
        deformation, rows = optimize_deformation(deformation, found.fixed, moving, level, options, meter, found.pairs)
        trace += rows
    return replace(found, deformation=deformation, trace=trace, levels=found.levels + len(fine))


def _levels(
    name: str, sigmas: tuple[float, ...], iterations: int, stiffness: float, first: int, start: Start
) -> list[Level]:
    """The levels of a part of the recipe; without iterations there are none."""
    again = f", start {start.number}" if start.number > 1 else ""
    return [
        Level(first + n, f"{name}, {sigma:g} mm{again}", sigma, iterations, stiffness)
        for n, sigma in enumerate(sigmas if iterations else ())
    ]


@torch.no_grad()
def _search(
    deformation: Deformation, fixed: PointCloud, moving: PointCloud, options: SplattingOptions, meter: Meter
) -> Searched:
    generator = torch.Generator().manual_seed(options.seed)
    chosen = torch.randperm(len(fixed), generator=generator)[: THRESHOLDS.searched_points].to(fixed.points.device)
    start = fixed.select(chosen)
    moved = start.at(deformation.move(deformation.field(deformation.vectors()), start.points))
    agreement = 1.0
    for values in zip(options.search_radius, options.search_sigma, options.search_patch):
        nodes = moved.points[: options.search_nodes]
        found = search(moved, moving, nodes, SearchPass(*values), options.saturation, meter)
        moved, agreement = moved.at(moved.points + found.at(moved.points)), found.agreement
    return Searched(start.points, moved.points, agreement)
