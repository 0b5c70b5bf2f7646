"""Gauss-Newton steps on two kinds of motion: an affine one, and the velocity field that flows into a deformation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from DiffRegLib.dense.contrast import Contrast
from DiffRegLib.dense.flow import flow
from DiffRegLib.dense.landmarks import Landmarks
from DiffRegLib.dense.lattice import pooling, smooth
from DiffRegLib.dense.normal import ENTRIES, Normal
from DiffRegLib.dense.splines import Splines
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.ops.axes import filter_axes, transposed
from DiffRegLib.transforms import Affine, Transform

State = TypeVar("State")


@dataclass(frozen=True)
class Step:
    """One iteration: the two parts of the energy in mm^3, and the mean motion in mm that it asks for."""

    iteration: int
    similarity: float
    regularization: float
    length: float


class Problem(Protocol, Generic[State]):
    """A motion that Gauss-Newton steps improve."""

    def linearized(self, state: State) -> tuple[float, float, Normal]:
        """Energy of the images (and landmarks), energy of the motion, and the normal equations."""

    def solved(self, state: State, normal: Normal) -> tuple[State, float]:
        """The step that the normal equations ask for, and its mean length in mm."""

    def moved(self, state: State, step: State, part: float) -> State:
        """The state after part of a step."""


def descend(
    problem: Problem[State],
    state: State,
    iterations: int,
    voxel: float,
    observe: Callable[[Step], None],
) -> State:
    """Steps until one was short; one after which the energy has grown is halved. voxel: of the level, mm.

    At most `iterations` states are looked at. The last one whose energy has not grown is returned: where no part of a
    step lowers it, the level ends.
    """
    step, part, least, short = None, 1.0, float("inf"), False
    for iteration in range(iterations):
        trial = state if step is None else problem.moved(state, step, part)
        similarity, regularization, normal = problem.linearized(trial)
        energy = similarity + regularization
        if energy > least + THRESHOLDS.slack * abs(least):
            if part <= THRESHOLDS.smallest_part:
                break
            part /= 2
            continue
        state, least, part = trial, energy, 1.0
        if short:
            break
        step, length = problem.solved(state, normal)
        observe(Step(iteration, similarity, regularization, length))
        short = length < THRESHOLDS.shortest * voxel
    return state


class AffineProblem:
    """An affine map fixed -> moving; the state is an `Affine`, a step (3, 4).

    It costs what its deviation from `start` would cost as a velocity field: a slab does not tell all of its entries.
    """

    def __init__(self, contrast: Contrast, start: Affine, stiffness: float, landmarks: Landmarks | None) -> None:
        self._contrast, self._start, self._landmarks = contrast, start, landmarks
        self._tension = stiffness * float((contrast.lattice.size * contrast.lattice.spacing).prod())
        self._points = contrast.lattice.grid(contrast.device).reshape(-1, 3)
        self._center = self._points.mean(0)

    def linearized(self, state: Affine) -> tuple[float, float, Normal]:
        difference = self._contrast.difference(state(self._points))
        normal, energy = Normal.of(difference, self._contrast.lattice), difference.energy
        if self._landmarks is not None:
            pull, further = self._landmarks.pull(state, self._contrast.lattice)
            normal, energy = normal + further, energy + pull
        return energy, 0.5 * self._tension * float((self._strain(state) ** 2).sum()), normal

    def solved(self, state: Affine, normal: Normal) -> tuple[Tensor, float]:
        arms = torch.cat((self._points - self._center, torch.ones_like(self._points[:, :1])), 1).double()
        moments = (arms[:, :, None] * arms[:, None]).flatten(1)
        sums = (normal.matrix.flatten(1).double() @ moments).view(6, 4, 4)
        full = torch.zeros(3, 3, 4, 4, dtype=torch.float64, device=arms.device)
        for (a, b), block in zip(ENTRIES, sums):
            full[a, b] = full[b, a] = block
        full = full.permute(0, 2, 1, 3).reshape(12, 12)
        strained = torch.tensor([1.0, 1.0, 1.0, 0.0] * 3).to(full)
        full = full + torch.diag(self._tension * strained)
        right = (normal.vector.flatten(1).double() @ arms).view(3, 4)
        right[:, :3] -= self._tension * self._strain(state).to(right)
        scale = full.diagonal().clamp(min=1e-12).sqrt()
        system = full / (scale[:, None] * scale) + THRESHOLDS.ridge * torch.eye(12).to(full)
        right = right.flatten() / scale
        step = (torch.linalg.solve(system, right) / scale).view(3, 4)
        length = float((arms @ step.T).norm(dim=1).mean())
        step[:, 3] -= step[:, :3] @ self._center.double()
        return step.cpu(), length

    def _strain(self, state: Affine) -> Tensor:
        """(3, 3): by how much the state, in the frame of the start, is no translation."""
        return (self._start.inverse().matrix @ state.matrix - torch.eye(4, dtype=torch.float64))[:3, :3]

    def moved(self, state: Affine, step: Tensor, part: float) -> Affine:
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3] += part * step
        return Affine(state.matrix @ matrix)


class FlowProblem:
    """The flow of a velocity field before a placement in the moving frame; the state is its coefficients."""

    def __init__(
        self,
        contrast: Contrast,
        splines: Splines,
        placement: Transform,
        stiffness: float,
        landmarks: Landmarks | None,
    ) -> None:
        self._contrast, self._splines, self._placement = contrast, splines, placement
        self._stiffness, self._landmarks = stiffness, landmarks
        nodes, lattice, like = splines.nodes, contrast.lattice, splines.zeros()
        self._at_nodes = splines.matrices(nodes)
        self._from_nodes, self._to_nodes = smooth(lattice, nodes, like), pooling(nodes, lattice, like)
        self._nodes, self._points = (grid.grid(contrast.device).reshape(-1, 3) for grid in (nodes, lattice))

    def linearized(self, state: Tensor) -> tuple[float, float, Normal]:
        velocity = filter_axes(state, self._at_nodes)
        nodes = self._splines.nodes

        def carried(points: Tensor) -> Tensor:
            return self._placement(flow(velocity, nodes, points))

        motion = (flow(velocity, nodes, self._nodes) - self._nodes).T.unflatten(1, nodes.shape)
        motion = filter_axes(motion, self._from_nodes).flatten(1).T
        difference = self._contrast.difference(self._placement(self._points + motion))
        normal = Normal.of(difference, self._contrast.lattice).pooled(self._to_nodes)
        energy = difference.energy
        if self._landmarks is not None:
            pull, further = self._landmarks.pull(carried, nodes)
            normal, energy = normal + further, energy + pull
        return energy, self._stiffness * self._splines.roughness(state), normal

    def solved(self, state: Tensor, normal: Normal) -> tuple[Tensor, float]:
        splines, stiffness, there = self._splines, self._stiffness, self._at_nodes
        back = transposed(there)
        weight = THRESHOLDS.spread * float(normal.matrix[:3].sum()) / state.numel()

        def applied(x: Tensor) -> Tensor:
            return filter_axes(normal.applied(filter_axes(x, there)), back) + stiffness * splines.tension(x)

        right = filter_axes(normal.vector, back) - stiffness * splines.tension(state)
        step = conjugate_gradients(applied, right, lambda x: splines.damped(x, weight, stiffness))
        return step, float(filter_axes(step, there).norm(dim=0).mean())

    def moved(self, state: Tensor, step: Tensor, part: float) -> Tensor:
        return state + part * step


def conjugate_gradients(
    applied: Callable[[Tensor], Tensor], right: Tensor, preconditioned: Callable[[Tensor], Tensor]
) -> Tensor:
    """x with A x = right for a symmetric positive A, to a tenth of the residual."""
    x, residual = torch.zeros_like(right), right
    direction = preconditioned(residual)
    square = first = float((residual * direction).sum())
    for _ in range(THRESHOLDS.most_solves):
        if square <= THRESHOLDS.solved**2 * first or square <= 0:
            break
        image = applied(direction)
        length = square / float((direction * image).sum())
        x, residual = x + length * direction, residual - length * image
        further = preconditioned(residual)
        last, square = square, float((residual * further).sum())
        direction = further + square / last * direction
    return x
