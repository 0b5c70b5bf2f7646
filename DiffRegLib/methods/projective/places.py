"""The search for radiographs that show more than this CT: where could it be, over the whole field and both polarities?

Every round draws turns and depths around the start, places each along the detector by correlation (`shifts`), and
refines the best in a crowd: many at a coarse level, few at the next. The rounds end when the best has left all others
behind. Pieces of a crowd run on threads; how they are cut does not depend on the number of threads, nor do the bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.crowd import Agreement, Crowd
from DiffRegLib.methods.projective.motion import RADIUS, moved
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate, best_apart
from DiffRegLib.methods.projective.shifts import Shifts
from DiffRegLib.ops.threads import side_by_side

NEAR = 0.5  # of the spread: half of the poses are drawn from it
GROWTH = 0.25  # of the spread, by which it grows every round
SIDEWAYS = 5.0  # mm; spread along the detector, where poses are placed by correlation
MARGIN = 3.0  # standard deviations of the search, to which poses are placed along the detector
WIDE, FINE = 4.0, 5.0  # pixels; neighborhoods at the coarse level and at the next
CROWD, FEW = 48, 12  # poses that are refined at the coarse level and at the next
STEPS, MORE = 12, 10  # of these refinements
MOST = 4  # rounds, about two seconds each on two cores
PIECE = 25  # poses rendered together
APART = 6.0  # mm; poses that are closer are one


@dataclass(frozen=True)
class Places:
    """What was found, best first, with the evidence as score; `drawn`: poses (B,4,4) of the first round as placed."""

    found: list[Candidate]
    drawn: Tensor


def find_places(scene: Scene, start: Tensor, watch: Watch, enough: Callable[[list[Candidate]], bool]) -> Places:
    """Candidates at the second level after as many rounds as `enough` asks for; the start is one of the first."""
    options, center = scene.options, scene.center
    generator = torch.Generator().manual_seed(options.seed)
    coarse = Crowd(scene.level(scene.search_level, True), center, WIDE, options.outlier)
    fine = Crowd(scene.level(scene.levels[0], True), center, FINE, options.outlier)
    found, first = [], None
    rounds = min(options.rounds, MOST)
    for number in range(rounds):
        message, done = f"Searching the pose, round {number + 1} of {rounds}.", 0.7 / rounds
        watch.report(done * number, message)
        spread = 1 + GROWTH * number
        poses = _drawn(scene, coarse, start, spread, generator)
        poses = torch.cat([start[None], _placed(scene, poses, spread)])
        first = poses if first is None else first
        candidates = climbed(scene, coarse, poses, CROWD, STEPS)
        watch.report(done * (number + 0.7), message, max(candidates, key=lambda c: c.score).pose)
        found = best_apart(found + refined(fine, best_apart(candidates, center, APART)[:FEW], MORE), center, APART)
        watch.report(done * (number + 1), message, found[0].pose)
        if watch.expired or enough(found):
            break
    return Places(found, first)


def climbed(scene: Scene, crowd: Crowd, poses: Tensor, count: int, steps: int) -> list[Candidate]:
    """The best `count` of poses (B,4,4), refined, each with the polarity that its correlations or the options say."""
    agreement = _agreement(crowd, poses)
    signs = polarities(scene, agreement)
    scores = agreement.of(signs).tolist()
    order = [Candidate(pose, score, tuple(sign)) for pose, score, sign in zip(poses, scores, signs.tolist())]
    return refined(crowd, best_apart(order, scene.center, limit=count), steps)


def refined(crowd: Crowd, candidates: list[Candidate], steps: int) -> list[Candidate]:
    """The same after `steps` of refinement at the level of a crowd."""
    poses = torch.stack([c.pose for c in candidates])
    signs = poses.new_tensor([c.polarity for c in candidates]).to(torch.float32)

    def work(part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        reached = crowd.refined(*part, steps)
        return reached, crowd.agreement(reached).of(part[1])

    size = max(1, min(PIECE, -(-len(poses) // 4)))
    parts = side_by_side(work, list(zip(poses.split(size), signs.split(size))))
    reached, scores = (torch.cat(values) for values in zip(*parts))
    return [Candidate(pose, float(score), c.polarity) for pose, score, c in zip(reached, scores, candidates)]


def polarities(scene: Scene, agreement: Agreement) -> Tensor:
    """(B,V): the signs of the correlations, or what the options say."""
    signs = agreement.correlation.sign()
    if scene.wanted is not None:
        return signs.new_tensor([scene.wanted]).expand_as(signs)
    return torch.where(signs == 0, 1.0, signs)


def _drawn(scene: Scene, crowd: Crowd, start: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """(starts,4,4) around the start, turned and moved in depth; the first is the start itself."""
    options = scene.options
    turn, depth = math.radians(options.search_rotation) * RADIUS, options.search_translation
    sideways = min(SIDEWAYS, depth) if len(scene.views) == 1 else depth
    deviation = torch.tensor([turn] * 3 + [sideways] * 2 + [depth], dtype=torch.float64) * spread
    steps = torch.randn(options.starts, 6, generator=generator, dtype=torch.float64) * deviation
    steps[::2] *= NEAR
    steps[0] = 0
    return moved(start, crowd.generators(start[None])[0], steps.to(start.device))


def _placed(scene: Scene, poses: Tensor, spread: float) -> Tensor:
    """Poses (B,4,4) where each view alone would have them."""
    level = scene.level(scene.search_level, True)
    margin = MARGIN * spread * scene.options.search_translation
    shifts = [Shifts(level, view, margin * scene.magnification(view)) for view in range(len(scene.views))]
    pairs = [(view, part) for part in poses.split(PIECE) for view in shifts]
    return torch.cat(side_by_side(lambda pair: pair[0].placed(pair[1]), pairs))


def _agreement(crowd: Crowd, poses: Tensor) -> Agreement:
    parts = side_by_side(crowd.agreement, poses.split(4 * PIECE))
    return Agreement(torch.cat([p.correlation for p in parts]), torch.cat([p.known for p in parts]))
