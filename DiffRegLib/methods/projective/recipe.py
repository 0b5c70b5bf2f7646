"""The default recipe: search, then coarse to fine, for radiographs that look like the CT and for those that do not.

Line integrals of the same patient match the CT almost perfectly: their global correlation leads from far away to within
a hundredth of a millimeter. Other radiographs have another grey scale, scatter, instruments and moved soft tissue. What
is left of them are edges of bone: brightness and contrast of every neighborhood are taken away, in smaller and smaller
neighborhoods, and pixels that differ count less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.crowd import Crowd
from DiffRegLib.methods.projective.descent import descend
from DiffRegLib.methods.projective.gauss_newton import Problem, gauss_newton
from DiffRegLib.methods.projective.learned import Guide, descend_images
from DiffRegLib.methods.projective.match import Kind
from DiffRegLib.methods.projective.motion import moved, step_between
from DiffRegLib.methods.projective.places import FINE, MORE, STEPS, Places, find_places
from DiffRegLib.methods.projective.places import WIDE as COARSE
from DiffRegLib.methods.projective.places import refined as climb
from DiffRegLib.methods.projective.result import Standing
from DiffRegLib.methods.projective.rivals import ELSEWHERE, standing
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate, Recipe, Stage, best_apart, distance, refined, search
from DiffRegLib.methods.projective.uncertainty import uncertainty
from DiffRegLib.ops.threads import side_by_side

SAME = 0.985  # correlation of images from which they show the same line integrals
RESIDUE = 0.3  # mm; noise moves the pose by less, another anatomy or grey scale by more
BELIEVED = 0.12  # evidence at the last stage of the search below which another round is worth its time
LEAD = 0.85  # of the best evidence; where the best pose elsewhere has less, no further round is needed
FINALISTS, CLOSE = 2, 0.9  # candidates that are refined to the end, with at least this part of the best evidence
EQUAL = 0.01  # of the evidence, by which two poses do not differ
HILL = 20.0  # mm; candidates of the search that are closer climb the same hill
SIGNS = (1.0, -1.0)  # polarities that a view may have
FEW = 3  # views up to which each may have a polarity of its own
WIDE, NARROW = 8.0, 6.4  # pixels; neighborhoods in the search and in the stages after it


@dataclass(frozen=True)
class Estimate:
    """The best candidate with the problem in which it is the optimum.

    spread: (6,) step by which the pose differs between two readings of the grey scale.
    standing: of the pose among its rivals, None where images and CT show the same.
    """

    best: Candidate
    problem: Problem
    appearance: str
    spread: Tensor
    standing: Standing | None = None


def estimate(scene: Scene, start: Tensor, watch: Watch, guide: Guide | None = None) -> Estimate:
    """Estimates the pose from a start (4,4) under the options of the scene; a guide takes the place of the search."""
    wanted = scene.options.appearance
    if guide is not None:
        return _guided(scene, start, watch, guide)
    if wanted == "same" or (wanted == "auto" and all(view.integrals for view in scene.views)):
        same = _same(scene, start, watch)
        if wanted == "same" or _explained(same) or watch.expired:
            return same
    return _different(scene, start, watch)


def _explained(same: Estimate) -> bool:
    """Whether radiographs and CT show the same: nearly equal, and what is left points nowhere."""
    return same.best.score > SAME and uncertainty(same.problem, same.best.pose, same.spread).point_mm < RESIDUE


def _guided(scene: Scene, start: Tensor, watch: Watch, guide: Guide) -> Estimate:
    """Net first, gradient NCC after; of two polarities the one that brings the network's loss lower."""
    options, integrals = scene.options, all(view.integrals for view in scene.views)
    signs = SIGNS if scene.wanted is None else scene.wanted[:1]
    signs = (1.0,) if scene.wanted is None and integrals else signs
    reached = {sign: guide.approach(scene, start, watch, sign) for sign in signs}
    sign = min(reached, key=lambda s: min(reached[s].losses))
    watch.report(0.5, "The network has led the way.", reached[sign].pose)
    pose = descend_images(scene, reached[sign].pose, watch, sign)
    if options.appearance == "same" or (options.appearance == "auto" and integrals):
        same = replace(_judged(scene, pose, sign, "ncc"), appearance="same")
        if options.appearance == "same" or _explained(same):
            return same
    found = _judged(scene, pose, sign, "local-ncc")
    return replace(found, standing=standing(scene, found.best, start, Places([], start[None])))


def _same(scene: Scene, start: Tensor, watch: Watch) -> Estimate:
    options = scene.options
    first = Stage(scene.search_level, WIDE, options.refined, options.iterations)
    second = Stage(scene.levels[0], NARROW, 1, options.iterations)
    recipe = Recipe("ncc", (first, second), SAME)
    found = _candidates(scene, start, recipe, watch)
    return replace(_finished(scene, found[0], "ncc", watch), appearance="same")


def _different(scene: Scene, start: Tensor, watch: Watch) -> Estimate:
    """Search over the whole field, then the best few to the end, and the better of them against its rivals."""
    places = _places(scene, start, watch)
    hills = best_apart(places.found, scene.center, HILL)
    close = [c for c in hills if c.score >= CLOSE * hills[0].score]
    finalists = close[: FINALISTS if scene.options.search else 1]
    if scene.options.optimizer == "gauss-newton" and scene.options.similarity == "auto":
        ends = side_by_side(lambda c: _ended(scene, c, watch), finalists)
    else:
        ends = [_finished(scene, finalists[0], "local-ncc", watch)]
    judge = Crowd(scene.level(scene.levels[0], True), scene.center, FINE, scene.options.outlier)

    def evidence(end: Estimate) -> float:
        signs = torch.tensor([scene.signs(end.best.polarity)])
        return float(judge.agreement(end.best.pose[None]).of(signs))

    best = max(ends, key=evidence)
    unmoved = _judged(scene, start, best.best.polarity, "local-ncc")
    if evidence(unmoved) > (1 + EQUAL) * evidence(best):  # a result never explains less than its start
        best = unmoved
    watch.report(0.95, "Comparing the pose with its rivals.", best.best.pose)
    return replace(best, standing=standing(scene, best.best, start, places))


def _places(scene: Scene, start: Tensor, watch: Watch) -> Places:
    """Where the search has been, or what lies uphill of the start."""
    if scene.options.search:
        return find_places(scene, start, watch, lambda found: _leads(found, scene.center))
    options, center = scene.options, scene.center
    coarse = Crowd(scene.level(scene.search_level, True), center, COARSE, options.outlier)
    fine = Crowd(scene.level(scene.levels[0], True), center, FINE, options.outlier)
    found = [Candidate(start, 0.0, scene.signs(sign)) for sign in _polarities(scene)]
    if options.optimizer == "gauss-newton":
        found = climb(fine, found + climb(coarse, found, STEPS), MORE)
    else:
        found = climb(fine, found, 0)
    found = sorted(found, key=lambda c: -c.score)
    watch.report(0.3, "Refining from the start.", found[0].pose)
    return Places(found, start[None])


def _leads(found: list[Candidate], center: Tensor) -> bool:
    """Whether the best candidate has left every one elsewhere so far behind that no further round is needed."""
    others = [c.score for c in found if distance(c.pose, found[0].pose, center) > ELSEWHERE]
    return found[0].score > BELIEVED and max(others, default=0.0) < LEAD * found[0].score


def _ended(scene: Scene, candidate: Candidate, watch: Watch) -> Estimate:
    done = _finished(scene, candidate, "local-ncc", watch)
    return done if watch.expired else _read_twice(scene, done, watch)


def _read_twice(scene: Scene, first: Estimate, watch: Watch) -> Estimate:
    """Takes the middle between the optima for ranks and for values of the grey scale.

    What the grey scale does to the edges is unknown, and both readings bend them, each in its own way: half of their
    difference is a part of the uncertainty.
    """
    width, best = scene.levels[-1], first.best
    problem = scene.problem(width, "local-ncc", best.polarity, foreign=True, ranks=False)
    problem.focus(best.pose)
    other = _optimized(problem, best.pose, scene, "local-ncc", width, watch)
    generators = first.problem.generators(best.pose)
    half = step_between(best.pose, other, generators) / 2
    return replace(first, best=replace(best, pose=moved(best.pose, generators, half)), spread=half)


def _candidates(scene: Scene, start: Tensor, recipe: Recipe, watch: Watch) -> list[Candidate]:
    if scene.options.search:
        return search(scene, start, recipe, watch)
    signs = _polarities(scene)
    candidates = [Candidate(start, 0.0, sign) for sign in signs]
    if scene.options.optimizer == "gauss-newton":
        for stage in recipe.stages:
            candidates = [refined(scene, c, recipe.kind, stage) for c in candidates]
            watch.report(0.0, "Refining from the start.", max(candidates, key=lambda c: c.score).pose)
    elif len(signs) > 1:
        stage = recipe.stages[0]
        scores = [float(scene.problem(stage.width, recipe.kind, sign, stage.pixels).scores(start)) for sign in signs]
        candidates = [Candidate(start, score, sign) for score, sign in zip(scores, signs)]
    return sorted(candidates, key=lambda c: -c.score)


def _polarities(scene: Scene) -> list[tuple[float, ...]]:
    """What the polarities of the views can be together; of many views, all are taken to have the same."""
    count = len(scene.views)
    if scene.wanted is not None:
        return [scene.wanted]
    return list(product(SIGNS, repeat=count)) if count <= FEW else [(sign,) * count for sign in SIGNS]


def _finished(scene: Scene, candidate: Candidate, kind: Kind, watch: Watch) -> Estimate:
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
    return _judged(scene, pose, candidate.polarity, kind)


def _judged(scene: Scene, pose: Tensor, polarity: float | tuple[float, ...], kind: Kind) -> Estimate:
    """What the images say of a pose (4,4) at the finest level."""
    problem = scene.problem(scene.levels[-1], kind, polarity, foreign=kind == "local-ncc")
    problem.focus(pose)
    score = float(problem.scores(pose))
    still = torch.zeros(6, dtype=torch.float64, device=pose.device)
    return Estimate(Candidate(pose, score, polarity), problem, "different", still)


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

    return gauss_newton(problem, pose, options.iterations, listener=listener).pose
