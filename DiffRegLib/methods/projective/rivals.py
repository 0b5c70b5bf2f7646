"""What else could explain the radiographs: the pose found against its rivals, all by one measure.

The rivals are the start, the best pose elsewhere, the best of the other polarity, and X-rays that were stored mirrored
or turned: nearly symmetric anatomy makes a wrong pose look right until the mirror image is tried and looks better.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from DiffRegLib.methods.projective.crowd import Crowd
from DiffRegLib.methods.projective.ending import Judge
from DiffRegLib.methods.projective.places import BRIEF, MORE, STEPS, WIDE, Places, climbed, fine_crowd, refined
from DiffRegLib.methods.projective.result import Standing
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate, distance
from DiffRegLib.methods.projective.shifts import Seen, Shifts
from DiffRegLib.ops.threads import side_by_side

ELSEWHERE = 50.0  # mm; a pose that is further from the result is another answer, a nearer one may be the same hill
TRIED, CLIMBED = 40, 8  # poses of the first round from which each other orientation is tried, and that climb on
MARGIN = 120.0  # mm on the detector
ORIENTATIONS = {
    "mirrored left to right": (0, True),
    "mirrored top to bottom": (2, True),
    "turned by 180 degrees": (2, False),
    "turned by 90 degrees": (1, False),
    "turned by -90 degrees": (3, False),
    "mirrored and turned by 90 degrees": (1, True),
    "mirrored and turned by -90 degrees": (3, True),
}
"""Quarter turns of the image after it was, or was not, mirrored left to right."""


def standing(scene: Scene, best: Candidate, start: Tensor, places: Places) -> Standing:
    """Compares a result with its rivals at the first level after the search, with the start by the finest level."""
    agreement = fine_crowd(scene).agreement(best.pose[None])
    signs = agreement.correlation.new_tensor([scene.signs(best.polarity)])
    evidence = float(agreement.of(signs)[0])
    judge = Judge(scene)
    at_start = evidence * judge(start, best.polarity) / max(judge(best.pose, best.polarity), 1e-9)
    opposite = max((c.score for c in places.found if c.polarity != best.polarity), default=0.0)
    oriented, words = _oriented(scene, best, places)
    correlation = float((agreement.correlation[0] * signs[0]).mean())
    known = float(agreement.known[0].mean())
    elsewhere = _elsewhere(scene, best, places)
    return Standing(evidence, correlation, known, at_start, *elsewhere, opposite, oriented, words)


def contested(scene: Scene, best: Candidate, places: Places) -> bool:
    """Whether a pose elsewhere explains the radiographs better at that level, so that the search should go on."""
    signs = torch.tensor([scene.signs(best.polarity)])
    evidence = float(fine_crowd(scene).agreement(best.pose[None]).of(signs)[0])
    return _elsewhere(scene, best, places)[0] > evidence


def _elsewhere(scene: Scene, best: Candidate, places: Places) -> tuple[float, float]:
    """The most evidence of a pose in another place, and how many mm away that is; 0 where there is none."""
    others = [(c.score, distance(c.pose, best.pose, scene.center)) for c in places.found]
    return max((other for other in others if other[1] > ELSEWHERE), default=(0.0, 0.0))


def _oriented(scene: Scene, best: Candidate, places: Places) -> tuple[float, str]:
    """The best evidence for another orientation of all X-rays, with its words.

    All orientations climb a little from the poses of the first round, and the highest of them all go on.
    """
    poses = torch.cat([best.pose[None], places.drawn[:TRIED]])
    seen = Shifts(scene.level(scene.search_level, True), 0, MARGIN).looked_at(poses)
    others = [_Other(scene, name) for name, way in ORIENTATIONS.items() if way[0] % 2 == 0 or _square(scene)]
    begun = side_by_side(lambda other: other.begun(poses, seen), others)
    listed = sorted(((c.score, n) for n, found in enumerate(begun) for c in found), reverse=True)[:CLIMBED]
    going_on = [
        (other, found[:count])
        for n, (other, found) in enumerate(zip(others, begun))
        if (count := sum(n == at for _, at in listed))
    ]
    return max(side_by_side(lambda pair: (pair[0].ended(pair[1]), pair[0].name), going_on))


def _square(scene: Scene) -> bool:
    return all(view.image.shape[0] == view.image.shape[1] for view in scene.views)


class _Other:
    """A scene with its X-rays in another orientation."""

    def __init__(self, scene: Scene, name: str) -> None:
        way = ORIENTATIONS[name]
        shown = [replace(v, image=_turned(v.image, *way), mask=_turned(v.mask, *way)) for v in scene.views]
        self.scene, self.name = scene.seeing(tuple(shown)), name
        self._coarse = Crowd(self.scene.level(scene.search_level, True), scene.center, WIDE, scene.options.outlier)
        self._fine = fine_crowd(self.scene)

    def begun(self, poses: Tensor, seen: Seen) -> list[Candidate]:
        """The highest after a few steps from poses (B,4,4), best first."""
        placed = Shifts(self.scene.level(self.scene.search_level, True), 0, MARGIN).placed(poses, seen)
        found = climbed(self.scene, self._coarse, torch.cat([poses[:1], placed]), CLIMBED, BRIEF, pieces=1)
        return sorted(found, key=lambda c: -c.score)

    def ended(self, candidates: list[Candidate]) -> float:
        """The evidence of the best of them at the second level."""
        best = max(refined(self._coarse, candidates, STEPS, pieces=1), key=lambda c: c.score)
        return refined(self._fine, [best], MORE)[0].score


def _turned(image: Tensor, quarters: int, mirrored: bool) -> Tensor:
    return torch.rot90(image.flip(1) if mirrored else image, quarters)
