"""The search for radiographs that show more than this CT: where could it be, over the whole field and both polarities?

Every round draws turns and depths around the start, places each within the detector by correlation (`shifts`), and
refines the best in a crowd: many at a coarse level, few at the next, and from there once more from poses nearby, as
neighborhoods this small leave many hills. Who asks for the places says when there have been enough rounds. Pieces of a
crowd run on threads; how they are cut does not depend on the number of threads, nor do the bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.crowd import Agreement, Crowd
from DiffRegLib.methods.projective.motion import RADIUS, moved
from DiffRegLib.methods.projective.prior import Prior
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate, best_apart
from DiffRegLib.methods.projective.shifts import Shifts
from DiffRegLib.ops.threads import side_by_side

RAREST = 1e-4  # probability beyond which no pose is drawn
SPIN = 10.0  # degrees between the turns within the detector that are tried
TURNED = 2.0  # standard deviations of the search, to which they are
GROWTH = 0.25  # of the spread, by which it grows every round
SIDEWAYS = 5.0  # mm; spread along the detector, where poses are placed by correlation
MARGIN = 2.0  # standard deviations of the search, to which poses are placed along the detector
WIDE, FINE = 2.5, 2.5  # pixels; neighborhoods at the coarse level and at the next
CROWD, FEW = 32, 8  # poses that are refined at the coarse level, and to the end at the next
STEPS, BRIEF, MORE = 12, 3, 8  # of refinement at the coarse level, and of all and of few at the next
HILLS, NEARBY, HILL = 2, 16, 20.0  # best hills, mm apart, and poses that are drawn about the best of each
AROUND = (7.0, 7.0, 4.0, 4.0, 4.0, 12.0)  # mm; standard deviations of these, turns at 100 mm from the center
MOST = 5  # rounds
SHIFTED = 2  # of the random poses of a round one is drawn, as each is tried at all shifts
PIECE = 25  # poses rendered together
PIECES = 4  # into which poses that are refined are cut, whatever the number of threads
APART = 6.0  # mm; poses that are closer are one


@dataclass(frozen=True)
class Places:
    """What was found, best first, with the evidence as score; `drawn`: poses (B,4,4) of the first round as placed."""

    found: list[Candidate]
    drawn: Tensor


def find_places(scene: Scene, start: Tensor, watch: Watch) -> Iterator[Places]:
    """Candidates at the second level, after each round all of them; the start is one of the first."""
    options, center = scene.options, scene.center
    sobol = SobolEngine(6, scramble=True, seed=options.seed)
    fine = fine_crowd(scene)
    found, first = [], None
    rounds = min(options.rounds, MOST)
    for number in range(rounds):
        message, done = f"Searching the pose, round {number + 1} of {rounds}.", 0.7 / rounds
        watch.report(done * number, message)
        spread = 1 + GROWTH * number
        coarse = coarse_crowd(scene, start, spread)
        poses = _drawn(scene, coarse, start, spread, sobol)
        poses = torch.cat([start[None], _placed(scene, poses, spread)])
        first = poses if first is None else first
        candidates = best_apart(climbed(scene, coarse, poses, CROWD, STEPS), center, APART)
        watch.report(done * (number + 0.5), message, candidates[0].pose)
        candidates = best_apart(refined(fine, candidates, BRIEF), center, APART)[:FEW]
        found = best_apart(found + refined(fine, candidates, MORE), center, APART)
        found = best_apart(found + refined(fine, _nearby(fine, found, sobol), MORE), center, APART)
        watch.report(done * (number + 1), message, found[0].pose)
        yield Places(found, first)


def coarse_crowd(scene: Scene, start: Tensor, spread: float = 1.0) -> Crowd:
    """Compares at the level of the search, and expects poses about the start (4,4), `spread` times as far as stated."""
    level, center = scene.level(scene.search_level, True), scene.center
    axes = level.views[0].camera.pose.double()[:3, :3].to(center.device)
    prior = Prior.about(start, center, axes, scene.options, spread)
    return Crowd(level, center, WIDE, scene.options.outlier, prior)


def fine_crowd(scene: Scene) -> Crowd:
    """Compares at the level after the search."""
    return Crowd(scene.level(scene.levels[0], True), scene.center, FINE, scene.options.outlier)


def climbed(scene: Scene, crowd: Crowd, poses: Tensor, count: int, steps: int, pieces: int = PIECES) -> list[Candidate]:
    """The best `count` of poses (B,4,4), refined, each with the polarity that its correlations or the options say."""
    agreement = _agreement(crowd, poses)
    signs = polarities(scene, agreement)
    scores = agreement.of(signs).tolist()
    order = [Candidate(pose, score, tuple(sign)) for pose, score, sign in zip(poses, scores, signs.tolist())]
    return refined(crowd, best_apart(order, scene.center, limit=count), steps, pieces)


def refined(crowd: Crowd, candidates: list[Candidate], steps: int, pieces: int = PIECES) -> list[Candidate]:
    """The same after `steps` of refinement at the level of a crowd, in `pieces` that run side by side."""
    poses = torch.stack([c.pose for c in candidates])
    signs = poses.new_tensor([c.polarity for c in candidates]).to(torch.float32)

    def work(part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        reached = crowd.refined(*part, steps)
        return reached, crowd.agreement(reached).of(part[1])

    size = max(1, min(PIECE, -(-len(poses) // pieces)))
    parts = side_by_side(work, list(zip(poses.split(size), signs.split(size))))
    reached, scores = (torch.cat(values) for values in zip(*parts))
    return [Candidate(pose, float(score), c.polarity) for pose, score, c in zip(reached, scores, candidates)]


def polarities(scene: Scene, agreement: Agreement) -> Tensor:
    """(B,V): the signs of the correlations, or what the options say."""
    signs = agreement.correlation.sign()
    if scene.wanted is not None:
        return signs.new_tensor([scene.wanted]).expand_as(signs)
    return torch.where(signs == 0, 1.0, signs)


def _drawn(scene: Scene, crowd: Crowd, start: Tensor, spread: float, sobol: SobolEngine) -> Tensor:
    """(B,4,4) around the start, turned and moved in depth; the first is the start itself.

    What is found by placing is drawn narrowly: of one view the shifts along the detector and the turn within it.
    """
    options, one = scene.options, len(scene.views) == 1
    turn, depth = math.radians(options.search_rotation) * RADIUS, options.search_translation
    within = min(math.radians(SPIN / 2) * RADIUS, turn) if one else turn
    sideways = min(SIDEWAYS, depth) if one else depth
    deviation = torch.tensor([turn, turn, within, sideways, sideways, depth], dtype=torch.float64) * spread
    steps = _normal(sobol, options.starts // SHIFTED) * deviation
    steps[0] = 0
    return moved(start, crowd.generators(start[None])[0], steps.to(start.device))


def _nearby(crowd: Crowd, found: list[Candidate], sobol: SobolEngine) -> list[Candidate]:
    """Poses drawn about the best of each hill."""
    drawn = []
    for top in best_apart(found, crowd.center, HILL, HILLS):
        steps = _normal(sobol, NEARBY) * torch.tensor(AROUND, dtype=torch.float64)
        poses = moved(top.pose, crowd.generators(top.pose[None])[0], steps.to(top.pose.device))
        drawn += [replace(top, pose=pose) for pose in poses]
    return drawn


def _normal(sobol: SobolEngine, count: int) -> Tensor:
    """(count,6) float64, evenly spread, of a normal distribution of deviation 1."""
    even = sobol.draw(count).double().clamp(RAREST, 1 - RAREST)
    return math.sqrt(2) * torch.erfinv(2 * even - 1)


def _placed(scene: Scene, poses: Tensor, spread: float) -> Tensor:
    """Poses (B,4,4) to where each view alone would have them, shifted along its detector and turned within it."""
    options, level = scene.options, scene.level(scene.search_level, True)
    margin = MARGIN * spread * options.search_translation
    count = math.ceil(TURNED * spread * options.search_rotation / SPIN)
    spins = [math.radians(SPIN * k) for k in range(-count, count + 1)]
    shifts = [Shifts(level, view, margin * scene.magnification(view), spins) for view in range(len(scene.views))]
    pairs = [(view, part) for part in poses.split(PIECE) for view in shifts]
    return torch.cat(side_by_side(lambda pair: pair[0].placed(pair[1]), pairs))


def _agreement(crowd: Crowd, poses: Tensor) -> Agreement:
    parts = side_by_side(crowd.agreement, poses.split(4 * PIECE))
    return Agreement(*(torch.cat(values) for values in zip(*((p.correlation, p.known, p.unlikely) for p in parts))))
