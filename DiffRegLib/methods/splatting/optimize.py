"""Adam on an affine, and on a deformation, level by level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.registration import Meter, TraceRow
from DiffRegLib.methods.splatting.deformation import Deformation
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.similarity import Similarity
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Affine

LINEAR_RATE, OFFSET_RATE = 0.01, 0.5  # Adam's steps for the matrix and for the offset in mm
FIT_ITERATIONS, FIT_RATE = 80, 2.0


@dataclass(frozen=True)
class Level:
    """One level of the schedule: blur in mm, number of iterations, weight of the bending energy."""

    number: int
    sigma: float
    iterations: int
    stiffness: float = 0.0


def optimize_affine(
    fixed: PointCloud, moving: PointCloud, level: Level, options: SplattingOptions, trace: list[TraceRow], meter: Meter
) -> Affine:
    """The affine that brings the fixed cloud onto the moving one best at this blur, starting from the identity."""
    center = fixed.points.mean(0)
    linear = torch.eye(3, device=center.device, requires_grad=True)
    offset = torch.zeros(3, device=center.device, requires_grad=True)
    similarity = Similarity(moving, fixed, level.sigma, options.voxel, options.saturation, options.loss)
    adam = torch.optim.Adam([{"params": [linear]}, {"params": [offset]}])
    for iteration in range(level.iterations):
        decay = 1 - iteration / level.iterations
        adam.param_groups[0]["lr"], adam.param_groups[1]["lr"] = LINEAR_RATE * decay, OFFSET_RATE * decay
        points = (fixed.points - center) @ linear.T + center + offset
        value = level.sigma**2 * similarity.refresh(points)
        adam.zero_grad()
        (level.sigma**2 * similarity(points)).backward()
        adam.step()
        trace.append(TraceRow(level.number, iteration, value, 0.0, OFFSET_RATE * decay))
        meter.step(f"Fitting an affine at {level.sigma:g} mm.", row=trace[-1])
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = linear.detach().double().cpu()
    c = center.double().cpu()
    matrix[:3, 3] = c + offset.detach().double().cpu() - matrix[:3, :3] @ c
    return Affine(matrix)


def optimize_deformation(
    deformation: Deformation,
    fixed: PointCloud,
    moving: PointCloud,
    level: Level,
    options: SplattingOptions,
    trace: list[TraceRow],
    meter: Meter,
) -> None:
    """Minimizes sigma^2 E + stiffness times bending over the deformation's grid, both clouds in moving space."""
    with torch.no_grad():
        field = deformation.field(deformation.vectors())
        moved = fixed.at(deformation.move(field, fixed.points))
        moved_back = moving.at(deformation.move(deformation.field(deformation.vectors(), -1.0), moving.points))
    terms = [(1.0, fixed.points, _similarity(moving, moved, level, options))]
    if options.symmetric:
        terms.append((-1.0, moving.points, _similarity(fixed, moved_back, level, options)))
    adam = torch.optim.Adam([deformation.raw])
    for iteration in range(level.iterations):
        rate = options.learning_rate * (1 - iteration / level.iterations)
        adam.param_groups[0]["lr"] = rate
        vectors = deformation.vectors()
        places = [deformation.move(deformation.field(vectors, sign), points) for sign, points, _ in terms]
        scale = level.sigma**2 / len(terms)
        value = scale * sum(term.refresh(place) for place, (_, _, term) in zip(places, terms))
        bending = level.stiffness * deformation.bending(vectors)
        loss = scale * sum(term(place) for place, (_, _, term) in zip(places, terms)) + bending
        adam.zero_grad()
        loss.backward()
        adam.step()
        trace.append(TraceRow(level.number, iteration, value, float(bending.detach()), rate))
        meter.step(f"Deforming at {level.sigma:g} mm.", row=trace[-1])


def _similarity(still: PointCloud, moved: PointCloud, level: Level, options: SplattingOptions) -> Similarity:
    return Similarity(still, moved, level.sigma, options.voxel, options.saturation, options.loss)


def fit_deformation(deformation: Deformation, points: Tensor, targets: Tensor, stiffness: float, meter: Meter) -> None:
    """Brings (N, 3) points as near to their targets (RAS mm) as the bending energy lets it."""
    adam = torch.optim.Adam([deformation.raw])
    for iteration in range(FIT_ITERATIONS):
        adam.param_groups[0]["lr"] = FIT_RATE * (1 - iteration / FIT_ITERATIONS)
        vectors = deformation.vectors()
        distance = ((deformation.move(deformation.field(vectors), points) - targets) ** 2).sum(1).mean()
        adam.zero_grad()
        (distance + stiffness * deformation.bending(vectors)).backward()
        adam.step()
        meter.step("Fitting the deformation to the displacements found.")
