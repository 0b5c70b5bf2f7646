"""Adam on an affine, and on a deformation, one level at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.registration import Meter, TraceRow
from DiffRegLib.methods.splatting.deformation import Deformation
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.similarity import Similarity
from DiffRegLib.ops.adam import Adam
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Affine

LINEAR_RATE, OFFSET_RATE = 0.01, 0.5  # Adam's steps for the matrix and for the offset in mm
FIT_ITERATIONS, FIT_RATE = 80, 2.0

Rows = tuple[TraceRow, ...]


@dataclass(frozen=True)
class Level:
    """One level of a stage: blur in mm, number of iterations, weight of the bending energy.

    number: counted through all levels of a start. stage: what its losses are called.
    """

    number: int
    stage: str
    sigma: float
    iterations: int
    stiffness: float = 0.0


@dataclass(frozen=True)
class Pairs:
    """Landmarks (N, 3) of the fixed side, in moving space, and where they belong, with the weight of their term:
    the mean of their squared distances in mm^2."""

    points: Tensor
    targets: Tensor
    weight: float

    def loss(self, moved: Tensor) -> Tensor:
        """Of the points moved to (N, 3)."""
        return self.weight * ((moved - self.targets) ** 2).sum(1).mean()

    def at(self, points: Tensor) -> Pairs:
        """The same pairs from other points (N, 3)."""
        return Pairs(points, self.targets, self.weight)


def optimize_affine(
    fixed: PointCloud,
    moving: PointCloud,
    level: Level,
    options: SplattingOptions,
    meter: Meter,
    pairs: Pairs | None = None,
) -> tuple[Affine, Rows]:
    """The affine that brings the fixed cloud onto the moving one best at this blur, starting from the identity."""
    center = fixed.points.mean(0)
    linear = torch.eye(3, device=center.device, requires_grad=True)
    offset = torch.zeros(3, device=center.device, requires_grad=True)
    similarity = _similarity(moving, fixed, level, options)
    adam = Adam([linear, offset])
    rows = []
    for iteration in range(level.iterations):
        decay = 1 - iteration / level.iterations
        value, scalar = similarity((fixed.points - center) @ linear.T + center + offset)
        loss = level.sigma**2 * scalar
        if pairs is not None:
            loss = loss + pairs.loss((pairs.points - center) @ linear.T + center + offset)
        loss.backward()
        adam.step(LINEAR_RATE * decay, OFFSET_RATE * decay)
        rows.append(TraceRow(level.number, iteration, level.sigma**2 * value, 0.0, OFFSET_RATE * decay, level.stage))
        meter.step(f"Fitting an affine at {level.sigma:g} mm.", row=rows[-1])
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = linear.detach().double().cpu()
    c = center.double().cpu()
    matrix[:3, 3] = c + offset.detach().double().cpu() - matrix[:3, :3] @ c
    return Affine(matrix), tuple(rows)


def optimize_deformation(
    start: Deformation,
    fixed: PointCloud,
    moving: PointCloud,
    level: Level,
    options: SplattingOptions,
    meter: Meter,
    pairs: Pairs | None = None,
) -> tuple[Deformation, Rows]:
    """Minimizes sigma^2 E + stiffness times bending over the deformation's grid, both clouds in moving space.

    pairs: landmarks whose distances are a third term.
    """
    deformation = start.copy()
    terms = _terms(deformation, fixed, moving, level, options)
    adam = Adam([deformation.raw])
    rows = []
    for iteration in range(level.iterations):
        rate = options.learning_rate * (1 - iteration / level.iterations)
        vectors = deformation.vectors()
        found = [term(deformation.move(deformation.field(vectors, sign), points)) for sign, points, term in terms]
        scale = level.sigma**2 / len(terms)
        bending = level.stiffness * deformation.bending(vectors)
        loss = scale * sum(scalar for _, scalar in found) + bending
        if pairs is not None:
            loss = loss + pairs.loss(deformation.move(deformation.field(vectors), pairs.points))
        loss.backward()
        adam.step(rate)
        value = scale * sum(value for value, _ in found)
        rows.append(TraceRow(level.number, iteration, value, float(bending.detach()), rate, level.stage))
        meter.step(f"Deforming at {level.sigma:g} mm.", row=rows[-1])
    return deformation, tuple(rows)


def _terms(
    deformation: Deformation, fixed: PointCloud, moving: PointCloud, level: Level, options: SplattingOptions
) -> list[tuple[float, Tensor, Similarity]]:
    """The sign of the way, the points that go it, and how they are compared: one way, or both along one velocity."""
    with torch.no_grad():
        vectors = deformation.vectors()
        there = fixed.at(deformation.move(deformation.field(vectors), fixed.points))
        terms = [(1.0, fixed.points, _similarity(moving, there, level, options))]
        if options.symmetric:
            back = moving.at(deformation.move(deformation.field(vectors, -1.0), moving.points))
            terms.append((-1.0, moving.points, _similarity(fixed, back, level, options)))
    return terms


def _similarity(still: PointCloud, moved: PointCloud, level: Level, options: SplattingOptions) -> Similarity:
    return Similarity(still, moved, level.sigma, options.voxel, options.saturation, options.loss)


def fit_deformation(start: Deformation, points: Tensor, targets: Tensor, stiffness: float, meter: Meter) -> Deformation:
    """Brings (N, 3) points as near to their targets (RAS mm) as the bending energy lets it."""
    deformation = start.copy()
    adam = Adam([deformation.raw])
    for iteration in range(FIT_ITERATIONS):
        vectors = deformation.vectors()
        distance = ((deformation.move(deformation.field(vectors), points) - targets) ** 2).sum(1).mean()
        (distance + stiffness * deformation.bending(vectors)).backward()
        adam.step(FIT_RATE * (1 - iteration / FIT_ITERATIONS))
        meter.step("Fitting the deformation to the displacements found.")
    return deformation
