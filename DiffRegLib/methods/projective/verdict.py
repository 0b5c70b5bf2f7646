"""Whether a pose can be believed: it has to explain the radiographs, and better than its rivals do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from DiffRegLib.methods.projective.result import Standing, Uncertainty, Verdict


@dataclass(frozen=True)
class Thresholds:
    """Where a verdict turns; evidence is that of `crowd`, per pixel of the field."""

    same: float = 0.985  # correlation of images that show the same line integrals; noise of 1 % leaves 0.99
    lost_same: float = 0.9  # the same; moved soft tissue alone leaves more
    evidence: float = 0.1  # chosen: right poses of other anatomy have 0.12 to 0.64, wrong ones of spine_ap 4 up to 0.07
    lost: float = 0.04  # chosen: far below any right pose seen
    known: float = 0.15  # part of the field: below, less than a sixth of the picture speaks
    rival: float = 0.9  # of the evidence: a pose elsewhere, or the other polarity
    oriented: float = 1.15  # of the evidence: another orientation of the image; symmetric anatomy reaches 1.08
    start: float = 1.02  # of the evidence; the recipe returns the start where it has 1 % more
    loose: float = 1.7  # mm that the remaining differences may move a point by; 5 mm, a wrong pose, are three of them
    unfinished: float = 0.75  # mm to the optimum; the default recipe ends within 0.25


class Judgement(NamedTuple):
    """`reason` is empty for "converged"; `remedy`: what a person can do next."""

    verdict: Verdict
    reason: str
    remedy: str


LIMITS = Thresholds()
BETTER_START = "start closer to the true pose, or mark landmarks"
CONVERGED = Judgement("converged", "", "")


def judge(score: float, standing: Standing | None, uncertain: Uncertainty, expired: bool) -> Judgement:
    """score: correlation; standing: among the rivals, None where radiographs and CT show the same."""
    found = _same(score) if standing is None else _different(standing)
    if found is not CONVERGED:
        return found
    if uncertain.point_mm > LIMITS.loose:
        reason = f"the radiographs fix the pose to {uncertain.point_mm:.1f} mm only"
        return Judgement("doubtful", reason, "add a second view from another side")
    if uncertain.unfinished_mm > LIMITS.unfinished:
        reason = f"the optimum lies about {uncertain.unfinished_mm:.1f} mm further on"
        return Judgement("doubtful", reason, "allow more steps")
    if expired:
        return Judgement("doubtful", "the time limit ended the work", "allow more time")
    return CONVERGED


def _same(score: float) -> Judgement:
    if score < LIMITS.lost_same:
        return Judgement(
            "failed", f"no pose explains the radiographs: the best correlation is {score:.2f}", BETTER_START
        )
    if score < LIMITS.same:
        reason = f"the correlation is {score:.2f}, line integrals of the same patient reach {LIMITS.same:.2f}"
        return Judgement("doubtful", reason, "let the appearance be found out")
    return CONVERGED


def _different(standing: Standing) -> Judgement:
    evidence = max(standing.evidence, 1e-9)
    shown = f"correlation {standing.correlation:.2f} over {100 * standing.known:.0f} % of the field"
    if evidence < LIMITS.lost:
        return Judgement("failed", f"no pose explains the radiographs: the best has a {shown}", BETTER_START)
    if standing.oriented > LIMITS.oriented * evidence:
        part = 100 * standing.oriented / evidence
        reason = f"the X-ray {standing.orientation} would fit {part:.0f} % as well"
        return Judgement("doubtful", reason, "check the orientation of the image against its geometry")
    if standing.start > LIMITS.start * evidence:
        return Judgement("doubtful", "the start explains the radiographs better", "keep the start, or search from it")
    if standing.elsewhere > LIMITS.rival * evidence:
        part = 100 * standing.elsewhere / evidence
        reason = f"another pose, {standing.away:.0f} mm away, explains the radiographs {part:.0f} % as well"
        return Judgement("doubtful", reason, "compare both, " + BETTER_START)
    if standing.opposite > LIMITS.rival * evidence:
        part = 100 * standing.opposite / evidence
        reason = f"a pose for the opposite polarity explains the radiographs {part:.0f} % as well"
        return Judgement("doubtful", reason, "say whether bone is bright or dark")
    if standing.known < LIMITS.known:
        reason = f"the CT says something of {100 * standing.known:.0f} % of the field only"
        return Judgement("doubtful", reason, "use a CT that covers more of the picture")
    if evidence < LIMITS.evidence:
        return Judgement("doubtful", f"the pose explains the radiographs weakly: {shown}", BETTER_START)
    return CONVERGED
