"""The default recipe: search, then coarse to fine, for radiographs that look like the CT and for those that do not.

Line integrals of the same patient match the CT almost perfectly: their global correlation leads from far away to within
a hundredth of a millimeter. Other radiographs have another grey scale, scatter, instruments and moved soft tissue. What
is left of them are edges of bone: brightness and contrast of every neighborhood are taken away, in smaller and smaller
neighborhoods, and pixels that differ count less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from torch import Tensor

from DiffRegLib.methods.projective.clock import Aside, Watch
from DiffRegLib.methods.projective.ending import (
    NARROW,
    Estimate,
    Judge,
    finished,
    judged,
    with_relation,
)
from DiffRegLib.methods.projective.learned import Guide, descend_images
from DiffRegLib.methods.projective.places import HILL, MORE, STEPS, Places, coarse_crowd, find_places, fine_crowd
from DiffRegLib.methods.projective.places import refined as climb
from DiffRegLib.methods.projective.rivals import contested, standing
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate, Recipe, Stage, best_apart, distance, refined, search
from DiffRegLib.methods.projective.uncertainty import uncertainty
from DiffRegLib.ops.threads import side_by_side

SAME = 0.985  # correlation of images from which they show the same line integrals
RESIDUE = 0.3  # mm; noise moves the pose by less, another anatomy or grey scale by more
BELIEVED = 0.05  # evidence at the finest level below which another round is worth its time: right ends of shared and
# simulated X-rays have 0.05 and more, wrong ones less, but for a few with 0.06 to 0.10: rivals keep those from being
# believed (`contested`, `verdict`)
FINALISTS, CLOSE = 2, 0.9  # candidates that are refined to the end, with at least this part of the best evidence
ALIKE = 2.0  # mm; candidates that are closer have the same end: from 8 mm apart ends differ by less than 0.2 mm
SIGNS = (1.0, -1.0)  # polarities that a view may have
FEW = 3  # views up to which each may have a polarity of its own
WIDE = 8.0  # pixels; neighborhoods in the search


def estimate(scene: Scene, start: Tensor, watch: Watch, guide: Guide | None = None) -> Estimate:
    """Estimates the pose from a start (4,4) under the options of the scene; a guide leads before any search."""
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
    return same.best.score > SAME and uncertainty(same.problem, same.best.pose).point_mm < RESIDUE


def _guided(scene: Scene, start: Tensor, watch: Watch, guide: Guide) -> Estimate:
    """The network first; of two polarities the one that brings its loss lower.

    Line integrals are followed by gradient NCC (Gao et al., MICCAI 2020). Where that does not explain them, and for all
    other radiographs, what lies uphill of the network's pose is the first that is refined to its end; the search
    follows where that end is not believed.
    """
    options, integrals = scene.options, all(view.integrals for view in scene.views)
    signs = SIGNS if scene.wanted is None else scene.wanted[:1]
    signs = (1.0,) if scene.wanted is None and integrals else signs
    reached = {sign: guide.approach(scene, start, watch, sign) for sign in signs}
    sign = min(reached, key=lambda s: min(reached[s].losses))
    led = reached[sign].pose
    watch.report(0.5, "The network has led the way.", led)
    alike = options.appearance == "same" or (options.appearance == "auto" and integrals)
    if alike or options.similarity == "gradient-ncc":
        led = descend_images(scene, led, watch, sign)
    if alike:
        same = replace(judged(scene, led, sign, "ncc"), appearance="same")
        if options.appearance == "same" or _explained(same):
            return same
    return _different(scene, start, watch, led)


def _same(scene: Scene, start: Tensor, watch: Watch) -> Estimate:
    options = scene.options
    first = Stage(scene.search_level, WIDE, options.refined, options.iterations)
    second = Stage(scene.levels[0], NARROW, 1, options.iterations)
    recipe = Recipe("ncc", (first, second), SAME)
    best = _candidates(scene, start, recipe, watch)[0]
    end = with_relation(finished(scene, best, "ncc", watch), "ncc", watch)
    return replace(end, appearance="same")


def _different(scene: Scene, start: Tensor, watch: Watch, led: Tensor | None = None) -> Estimate:
    """What lies uphill of the start, then a search over the whole field until an end is believed, against its rivals.

    led: a pose (4,4) to which a network has led: it takes the place of the start, and where its end is believed it
    takes that of the search.
    """
    judge = Judge(scene)
    tried: list[Candidate] = []
    ends: list[tuple[float, Estimate]] = []
    for group in _places(scene, start, watch, led):
        fresh: list[Candidate] = []
        for places in group:
            fresh += _finalists(scene, places, tried + fresh)
        tried += fresh
        for end in _ended(scene, fresh, watch):
            ends.append((judge(end.best.pose, end.best.polarity), end))
        evidence, best = max(ends, key=lambda pair: pair[0])
        if watch.expired or (evidence > BELIEVED and not contested(scene, best.best, group[-1])):
            break
    best = with_relation(best, "local-ncc", watch)
    explained, sign = Judge(best.scene), best.best.polarity
    if explained(start, sign) > explained(best.best.pose, sign):  # a result never explains less than its start
        best = judged(best.scene, start, sign, "local-ncc")
    watch.report(0.95, "Comparing the pose with its rivals.", best.best.pose)
    return replace(best, standing=standing(best.scene, best.best, start, group[-1]))


def _ended(scene: Scene, candidates: list[Candidate], watch: Watch) -> list[Estimate]:
    """Candidates at the finest level, side by side; what they tell follows one another in the trace."""
    asides = [Aside(watch) for _ in candidates]
    pairs = list(zip(candidates, asides))
    found = side_by_side(lambda pair: finished(scene, pair[0], "local-ncc", pair[1]), pairs)
    for aside in asides:
        watch.join(aside)
    return found


def _finalists(scene: Scene, places: Places, tried: list[Candidate]) -> list[Candidate]:
    """The best hill that was not tried, and the next where it is nearly as high."""
    hills = [c for c in best_apart(places.found, scene.center, HILL) if not _among(tried, c, scene)]
    close = [c for c in hills if c.score >= CLOSE * hills[0].score]
    return close[: FINALISTS if scene.options.search else 1]


def _among(tried: list[Candidate], candidate: Candidate, scene: Scene) -> bool:
    """Whether another of the same polarity is so close that it has the same end."""
    same = (other for other in tried if other.polarity == candidate.polarity)
    return any(distance(candidate.pose, other.pose, scene.center) < ALIKE for other in same)


def _places(scene: Scene, start: Tensor, watch: Watch, led: Tensor | None) -> Iterator[list[Places]]:
    """What lies uphill of the start and where the first round of the search has been, then the other rounds.

    What lies uphill of a pose to which a network has led is ended before any search.
    """
    uphill = [_uphill(scene, start if led is None else led, watch)]
    rounds = ([places] for places in find_places(scene, start, watch))
    if led is not None or not scene.options.search or watch.expired:
        yield uphill
    else:
        yield uphill + next(rounds)
    if scene.options.search:
        yield from rounds


def _uphill(scene: Scene, start: Tensor, watch: Watch) -> Places:
    options = scene.options
    coarse, fine = coarse_crowd(scene, start), fine_crowd(scene)
    found = [Candidate(start, 0.0, scene.signs(sign)) for sign in _polarities(scene)]
    if options.optimizer == "gauss-newton":
        found = climb(fine, found + climb(coarse, found, STEPS), MORE)
    else:
        found = climb(fine, found, 0)
    found = sorted(found, key=lambda c: -c.score)
    watch.report(0.3, "Refining from the start.", found[0].pose)
    return Places(found, start[None])


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
