"""Whether a pose can be believed."""

from __future__ import annotations

from DiffRegLib.methods.projective.result import Uncertainty, Verdict

SURE, LOST = 0.42, 0.3  # local correlation; of 20 hard X-rays right poses reach 0.50 to 0.77, wrong ones 0 to 0.23
SURE_SAME, LOST_SAME = 0.985, 0.9  # correlation of images that show the same line integrals
RIVAL = 0.85  # of the best correlation; what a second pose reaches where the first is right stays below
UNFINISHED = 0.75  # mm; how far from an optimum the work may have ended; the default recipe ends within 0.25
LOOSE = 2.5  # mm; a pose that the differences that remain may move by more than this


def judge(
    appearance: str, score: float, runner_up: float, uncertain: Uncertainty, expired: bool
) -> tuple[Verdict, str]:
    """The verdict and its reason; the reason of "converged" is empty."""
    sure, lost = (SURE_SAME, LOST_SAME) if appearance == "same" else (SURE, LOST)
    if score < lost:
        return "failed", f"no pose explains the radiographs: the best correlation is {score:.2f}"
    if score < sure:
        return "doubtful", f"the correlation is {score:.2f}, right poses reach {sure:.2f}"
    if uncertain.point_mm > LOOSE:
        return "doubtful", f"the radiographs fix the pose to {uncertain.point_mm:.1f} mm only"
    if uncertain.unfinished_mm > UNFINISHED:
        return "doubtful", f"the optimum lies about {uncertain.unfinished_mm:.1f} mm further on: allow more steps"
    if runner_up > RIVAL:
        return "doubtful", f"another pose explains the radiographs {100 * runner_up:.0f} % as well"
    if expired:
        return "doubtful", "the time limit ended the work"
    return "converged", ""
