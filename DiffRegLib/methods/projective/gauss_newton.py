"""Levenberg-Marquardt on the pose: the projector gives the derivative of every pixel to the pose with the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from DiffRegLib.methods.projective.level import Level
from DiffRegLib.methods.projective.match import Match
from DiffRegLib.methods.projective.motion import moved, twists
from DiffRegLib.radiographs.renderer import Renderer
from DiffRegLib.similarity import Linearized

DAMPING = 1e-3
MOST_DAMPING = 1e3
LONGEST = 25.0  # mm; a step is cut to this length
RIPPLE = (
    1e-3  # of the cost; the samples of a ray move it up and down by a tenth of that, within tenths of a mm of depth
)

Listener = Callable[[int, float, float, Tensor], None]
"""Called with iteration, cost, damping and pose (4,4) after every step; the cost rises by no more than a ripple."""


@dataclass(frozen=True)
class Normal:
    """The normal equations of N unknowns: cost, what it falls by (N,), and curvature (N,N)."""

    cost: float
    gradient: Tensor
    curvature: Tensor


class Descent(Protocol):
    """What is minimized over a pose (4,4), or over one for each view (V,4,4)."""

    def normal(self, pose: Tensor) -> Normal: ...

    def moved(self, pose: Tensor, step: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Problem:
    """What is rendered and compared at one level.

    renderer: of the volume; level: with what is known of its rays; matches: one a camera; center: (3,) of the volume in
    its own world, RAS mm.
    """

    renderer: Renderer
    level: Level
    matches: tuple[Match, ...]
    center: Tensor

    def generators(self, pose: Tensor) -> Tensor:
        """(6,4,4): turns about the patient's center and shifts along the axes of the first camera."""
        return twists(self.renderer.cameras[0].pose.double()[:3, :3], pose[:3, :3] @ self.center + pose[:3, 3])

    def linearize(self, pose: Tensor, generators: Tensor) -> list[Linearized]:
        """What each camera says."""
        rendered = self.renderer.with_jacobian(pose, generators)
        return [match.linearize(image, slopes) for match, (image, slopes) in zip(self.matches, rendered)]

    def normal(self, pose: Tensor) -> Normal:
        """The normal equations of all cameras together."""
        return normal_of(self.linearize(pose, self.generators(pose)))

    def moved(self, pose: Tensor, step: Tensor) -> Tensor:
        """The pose (4,4) after a step (6,) of its generators."""
        return moved(pose, self.generators(pose), step)

    def focus(self, pose: Tensor) -> None:
        """Lets every match choose the pixels that count at this pose."""
        images = self.renderer.images(pose)
        parts = zip(self.matches, images, self.level.soft.images(pose), self.level.known(pose[None], images))
        for match, image, soft, known in parts:
            match.focus(image[0], soft[0], known[0])

    def scores(self, poses: Tensor) -> Tensor:
        """Mean correlation (B,) over the cameras, 1 is best."""
        per_view = [match.scores(images) for match, images in zip(self.matches, self.renderer.images(poses))]
        return torch.stack(per_view).mean(0)


@dataclass(frozen=True)
class Minimum:
    """Where the descent ended: pose (4,4), cost, steps taken."""

    pose: Tensor
    cost: float
    steps: int


def gauss_newton(
    problem: Descent, pose: Tensor, iterations: int, tolerance: float = 2e-3, listener: Listener | None = None
) -> Minimum:
    """Minimizes the summed cost from a pose; ends when a step is shorter than `tolerance` mm."""
    normal = problem.normal(pose)
    damping, step_number = DAMPING, 0
    for step_number in range(1, iterations + 1):
        accepted = None
        while accepted is None and damping <= MOST_DAMPING:
            step = _damped_step(normal, damping)
            candidate = problem.moved(pose, step)
            trial = problem.normal(candidate)
            if trial.cost < normal.cost * (1 + RIPPLE):
                accepted, damping = trial, max(damping / 5, 1e-6)
            else:
                damping *= 5
        if accepted is None:
            break
        pose, normal = candidate, accepted
        if listener is not None:
            listener(step_number, normal.cost, damping, pose)
        if step.norm() < tolerance:
            break
    return Minimum(pose, normal.cost, step_number)


def normal_of(parts: Sequence[Linearized]) -> Normal:
    """The normal equations of several images that depend on the same unknowns."""
    return Normal(
        sum(p.cost for p in parts),
        sum(p.pull.double().sum(1) for p in parts),
        sum(p.curvature.double() for p in parts),
    )


def _damped_step(normal: Normal, damping: float) -> Tensor:
    diagonal = normal.curvature.diagonal()
    floor = 1e-9 * diagonal.max() + 1e-30  # a view that sees nothing of the volume has no curvature
    step = torch.linalg.solve(normal.curvature + torch.diag(damping * diagonal + floor), normal.gradient)
    length = step.norm()
    return step * (LONGEST / length) if length > LONGEST else step
