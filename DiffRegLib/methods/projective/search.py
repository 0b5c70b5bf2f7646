"""A search from many random poses: scored in one batch at a coarse level, the best refined level by level.

Every round draws poses around the start, more widely each time, until one explains the radiographs: a wrong pose's
correlation is far from a right one's once it is refined, so that there is no need to draw more than it takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.gauss_newton import gauss_newton
from DiffRegLib.methods.projective.match import Kind
from DiffRegLib.methods.projective.motion import RADIUS, moved
from DiffRegLib.methods.projective.scene import Scene

NARROW, GROWTH = 0.5, 0.25  # half of the poses are drawn from half the spread; the spread grows by a quarter a round
APART = 5.0  # mm; poses that are closer are one


@dataclass(frozen=True)
class Candidate:
    """A pose (4,4) with the correlation and the polarity of each view (or of all) under which it was found."""

    pose: Tensor
    score: float
    polarity: float | tuple[float, ...]


@dataclass(frozen=True)
class Stage:
    """A level of refinement: width in pixels, neighborhood in pixels, candidates that enter."""

    width: int
    pixels: float
    keep: int
    steps: int = 8


@dataclass(frozen=True)
class Recipe:
    """What is compared, through which stages, and from which correlation a candidate of the last stage is believed."""

    kind: Kind
    stages: tuple[Stage, ...]
    believed: float


def search(scene: Scene, start: Tensor, recipe: Recipe, watch: Watch) -> list[Candidate]:
    """Candidates of the last stage, best first; the first round also tries the start itself."""
    options = scene.options
    generator = torch.Generator().manual_seed(options.seed)
    found: list[Candidate] = []
    for number in range(options.rounds):
        message = f"Searching the pose, round {number + 1} of {options.rounds}."
        watch.report(0.7 * number / options.rounds, message)
        spread = 1 + GROWTH * number
        poses = _drawn(scene, start, options.starts, spread, generator)
        candidates = _promising(scene, poses, recipe, options.refined)
        for stage in recipe.stages:
            candidates = best_apart(candidates, scene.center)[: stage.keep]
            candidates = [refined(scene, c, recipe.kind, stage) for c in candidates]
            best = found[0] if found else max(candidates, key=lambda c: c.score)
            watch.report(0.7 * number / options.rounds, message, best.pose)
            if watch.expired:
                break
        found = best_apart(found + candidates, scene.center)
        watch.report(0.7 * (number + 1) / options.rounds, message, found[0].pose)
        if watch.expired or found[0].score > recipe.believed:
            break
    return found


def refined(scene: Scene, candidate: Candidate, kind: Kind, stage: Stage) -> Candidate:
    """Gauss-Newton at one stage."""
    problem = scene.problem(stage.width, kind, candidate.polarity, stage.pixels)
    pose = gauss_newton(problem, candidate.pose, stage.steps, 0.05).pose
    return Candidate(pose, float(problem.scores(pose)), candidate.polarity)


def best_apart(
    candidates: list[Candidate], center: Tensor, apart: float = APART, limit: int | None = None
) -> list[Candidate]:
    """Best first, without those that lie within `apart` mm of a better one; at most `limit`."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: -c.score):
        if limit is not None and len(kept) == limit:
            break
        if all(distance(candidate.pose, other.pose, center) > apart for other in kept):
            kept.append(candidate)
    return kept


def _drawn(scene: Scene, start: Tensor, count: int, spread: float, generator: torch.Generator) -> Tensor:
    """(count,4,4) poses around the start, the first of them the start itself."""
    options = scene.options
    turn = math.radians(options.search_rotation) * RADIUS
    deviation = torch.tensor([turn] * 3 + [options.search_translation] * 3, dtype=torch.float64) * spread
    steps = torch.randn(count, 6, generator=generator, dtype=torch.float64) * deviation
    steps[::2] *= NARROW
    steps[0] = 0
    problem = scene.problem(scene.search_level, "ncc")
    return moved(start, problem.generators(start), steps.to(start.device))


def _promising(scene: Scene, poses: Tensor, recipe: Recipe, count: int) -> list[Candidate]:
    """The best `count` poses by each score, with the polarities that its signs tell or the options state.

    The views need not have the same: what the preparation of an X-ray says of its grey scale may be wrong for one.
    """
    stage = recipe.stages[0]
    problem = scene.problem(stage.width, recipe.kind, 1.0, stage.pixels)
    rendered = problem.renderer.images(poses)
    scores = torch.stack([match.scores(images) for match, images in zip(problem.matches, rendered)])
    wanted = None if scene.wanted is None else scores.new_tensor(scene.wanted)[:, None]
    chosen: dict[tuple[int, tuple[float, ...]], Candidate] = {}
    merit = (scores.abs() if wanted is None else scores * wanted).mean(0)
    for k in {0, *merit.argsort(descending=True)[:count].tolist()}:  # and the start, or the mean of all poses
        polarity = scene.wanted or tuple(math.copysign(1.0, score) for score in scores[:, k].tolist())
        chosen[(k, polarity)] = Candidate(poses[k], float(merit[k]), polarity)
    return list(chosen.values())


def distance(first: Tensor, second: Tensor, center: Tensor) -> float:
    """How far two poses place points 100 mm around the center (3,) from each other at most, mm."""
    change = second - first
    return float(change[:3, :3].norm() / math.sqrt(2) * RADIUS + (change[:3, :3] @ center + change[:3, 3]).norm())
