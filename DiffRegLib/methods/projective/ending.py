"""From a pose of the search to the end: the finest level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.crowd import Crowd
from DiffRegLib.methods.projective.descent import descend
from DiffRegLib.methods.projective.gauss_newton import Problem, gauss_newton
from DiffRegLib.methods.projective.match import Kind
from DiffRegLib.methods.projective.relation import is_free, related
from DiffRegLib.methods.projective.result import Standing
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate

NARROW = 2.5  # pixels; neighborhoods before the last stage, and where ends are compared
ENOUGH, EXACT = 0.02, 2e-3  # mm; a shorter step ends a descent, of images that differ from the CT and of others


@dataclass(frozen=True)
class Estimate:
    """The best candidate with the problem in which it is the optimum, and the scene of that problem.

    doubt: (6,6) covariance of the pose, from a relation of the views which is not known.
    standing: of the pose among its rivals, None where images and CT show the same.
    """

    scene: Scene
    best: Candidate
    problem: Problem
    appearance: str
    doubt: Tensor
    standing: Standing | None = None


class Judge:
    """Evidence, see `crowd`, of poses at the finest level: what chooses among ends, and between them and the start."""

    def __init__(self, scene: Scene) -> None:
        level = scene.level(scene.levels[-1], True)
        self._crowd = Crowd(level, scene.center, NARROW, scene.options.outlier)
        self._scene = scene

    def __call__(self, pose: Tensor, polarity: float | tuple[float, ...]) -> float:
        return float(self._crowd.agreement(pose[None]).of(torch.tensor([self._scene.signs(polarity)])))


def with_relation(end: Estimate, kind: Kind, watch: Watch) -> Estimate:
    """The same with the relation between the views refined, where the options say that it is not known."""
    scene, best = end.scene, end.best
    if not is_free(scene.options, len(scene.views)) or watch.expired:
        return end
    found = related(scene, best.pose, best.polarity, kind, watch)
    again = replace(best, pose=found.pose)
    return replace(finished(found.scene, again, kind, watch), doubt=found.doubt)


def finished(scene: Scene, candidate: Candidate, kind: Kind, watch: Watch) -> Estimate:
    """Refines with the optimizer and similarity of the options, level by level."""
    options = scene.options
    chosen = kind if options.similarity == "auto" else options.similarity
    matched = "ncc" if chosen == "patch-ncc" else chosen
    levels = scene.levels[-1:] if chosen == "local-ncc" and len(scene.levels) > 1 else scene.levels
    pose, total = candidate.pose, len(levels)
    for number, width in enumerate(levels):
        for pixels in _neighborhoods(scene, matched, width):
            problem = scene.problem(width, matched, candidate.polarity, pixels, foreign=kind == "local-ncc")
            problem.focus(pose)
            pose = _optimized(problem, pose, scene, chosen, width, watch)
        watch.report(0.7 + 0.25 * (number + 1) / total, f"Refined at {width} pixels.", pose)
    return judged(scene, pose, candidate.polarity, kind)


def judged(scene: Scene, pose: Tensor, polarity: float | tuple[float, ...], kind: Kind) -> Estimate:
    """What the images say of a pose (4,4) at the finest level."""
    problem = scene.problem(scene.levels[-1], kind, polarity, foreign=kind == "local-ncc")
    problem.focus(pose)
    score = float(problem.scores(pose))
    sure = torch.zeros(6, 6, dtype=torch.float64, device=pose.device)
    return Estimate(scene, Candidate(pose, score, polarity), problem, "different", sure)


def _neighborhoods(scene: Scene, kind: Kind, width: int) -> list[float]:
    """Standard deviations in pixels, from wide to the smallest (0: what the options say) at the finest level."""
    if kind != "local-ncc":
        return [0.0]
    return [NARROW, 0.0] if width == scene.levels[-1] else [NARROW]


def _optimized(problem: Problem, pose: Tensor, scene: Scene, similarity: str, width: int, watch: Watch) -> Tensor:
    options = scene.options
    if options.optimizer == "none" or watch.expired:
        return pose
    if options.optimizer != "gauss-newton":
        return descend(problem, pose, options, similarity, scene.half_extent, width, watch)

    def listener(step: int, cost: float, damping: float, reached: Tensor) -> None:
        watch.note(width, step, cost, damping, reached)

    tolerance = ENOUGH if similarity == "local-ncc" else EXACT
    return gauss_newton(problem, pose, options.iterations, tolerance, listener).pose
