"""The relation between views, where the C-arm knows it only roughly: each further view gets a small motion of its own.

A C-arm without encoders is off by some degrees between two pictures. Every view then has a pose of its own, and what is
known of the relation is a prior: independent normal errors of the options' size about each axis. Against it stand the
images, in which a block of pixels is one witness, see `uncertainty`: with N blocks and the cost c a block of the best
match, a cost is worth N / 2c of log likelihood.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.gauss_newton import Normal, Problem, gauss_newton, normal_of
from DiffRegLib.methods.projective.match import Kind
from DiffRegLib.methods.projective.motion import RADIUS, moved, step_between
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.uncertainty import BLOCKS, FOREIGN

WIDE = 6.4  # pixels; neighborhoods before the last stage
ROUNDS = 2  # descents at the finest level; each weights the pixels anew


def is_free(options: PoseOptions, views: int) -> bool:
    """Whether the relation of several views is to be refined."""
    return views > 1 and max(options.relation_rotation, options.relation_translation) > 0


class Related(NamedTuple):
    """scene: with the cameras of all views but the first moved to where the images want them; pose: (4,4) in it.

    doubt: (6,6) covariance that the pose has because the relation is not known, see `motion`.
    """

    scene: Scene
    pose: Tensor
    doubt: Tensor


def related(scene: Scene, pose: Tensor, polarity: float | tuple[float, ...], kind: Kind, watch: Watch) -> Related:
    """Refines pose (4,4) and relation together, level by level."""
    state = pose.repeat(len(scene.views), 1, 1)
    foreign = kind == "local-ncc"
    for width in scene.levels:
        last = width == scene.levels[-1]
        for number in range(ROUNDS if last else 1):
            pixels = 0.0 if last and number else WIDE
            problem = scene.problem(width, kind, polarity, pixels, foreign=foreign)
            apart = _Apart.of(problem, state, scene.options)
            state = gauss_newton(apart, state, scene.options.iterations).pose
        watch.report(0.9, f"The relation of the views refined at {width} pixels.", state[0])
    doubt = apart.doubt(state, FOREIGN if foreign else 1.0)
    return Related(scene.placed(_cameras(scene, state)), state[0], doubt)


def _cameras(scene: Scene, state: Tensor) -> list[Camera]:
    """Each view's camera, so that one pose, that of the first view, stands for the poses (V,4,4) of all."""
    back = [state[0] @ torch.linalg.inv(own) for own in state[1:]]
    moved_ones = [view.camera.moved(motion.cpu()) for view, motion in zip(scene.views[1:], back)]
    return [scene.views[0].camera, *moved_ones]


@dataclass(frozen=True)
class _Apart:
    """Views with poses (V,4,4) of their own around one. Unknown: a step of all, then one of each but the first.

    alone: a problem a view; worth: of the squared error of the relation, in standard deviations, in units of the cost.
    """

    alone: tuple[Problem, ...]
    deviation: Tensor
    worth: float

    @classmethod
    def of(cls, problem: Problem, state: Tensor, options: PoseOptions) -> _Apart:
        """Of a problem that sees all views with one pose, focused on the poses that the views have now."""
        renderer, level = problem.renderer, problem.level
        alone = tuple(
            Problem(renderer.seen_by(camera), level.seen_by(camera), (match,), problem.center)
            for camera, match in zip(renderer.cameras, problem.matches)
        )
        for own, pose in zip(alone, state):
            own.focus(pose)
        turn = math.radians(options.relation_rotation) * RADIUS
        deviation = torch.tensor([turn] * 3 + [options.relation_translation] * 3, dtype=torch.float64)
        found = cls(alone, deviation.clamp(min=1e-3).to(state.device), 0.0)
        generators = found._generators(state)
        cost = sum(normal_of(own.linearize(pose, generators)).cost for own, pose in zip(alone, state)) / len(alone)
        unit = 1.0 if problem.matches[0].likelihood else cost  # of squares the variance, a likelihood counts in it
        return dataclasses.replace(found, worth=unit / BLOCKS**2)

    def normal(self, state: Tensor) -> Normal:
        """The normal equations (6 V unknowns) at poses (V,4,4)."""
        generators, count = self._generators(state), len(self.alone)
        cost, gradient = 0.0, state.new_zeros(6 * count)
        curvature = state.new_zeros(6 * count, 6 * count)
        weight = self.worth / self.deviation**2
        for view, (own, pose) in enumerate(zip(self.alone, state)):
            part = normal_of(own.linearize(pose, generators))
            places = [slice(0, 6)] + ([slice(6 * view, 6 * view + 6)] if view else [])
            cost += part.cost
            for place in places:
                gradient[place] += part.gradient
                for other in places:
                    curvature[place, other] += part.curvature
            if view:
                off = step_between(state[0], pose, generators)
                cost += float((weight * off**2).sum())
                gradient[places[1]] -= weight * off
                curvature[places[1], places[1]] += torch.diag(weight)
        return Normal(cost, gradient, curvature)

    def doubt(self, state: Tensor, blurred: float) -> Tensor:
        """(6,6): by how much the covariance of the pose is larger than with a relation that is known.

        blurred: how many times larger the errors of the images, and not of the relation, are than their blocks say.
        """
        honest = dataclasses.replace(self, worth=self.worth * blurred**2)
        curvature = honest.normal(state).curvature
        free, known = (torch.linalg.pinv(part, hermitian=True) for part in (curvature, curvature[:6, :6]))
        return honest.worth * (free[:6, :6] - known)

    def moved(self, state: Tensor, step: Tensor) -> Tensor:
        steps = step.view(-1, 6).clone()
        steps[1:] += steps[0]
        return moved(state, self._generators(state), steps)

    def _generators(self, state: Tensor) -> Tensor:
        return self.alone[0].generators(state[0])
