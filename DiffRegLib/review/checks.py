"""What can be wrong with a case as a whole: direction, overlap, reach of the field, labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.review.case import Case, LabelPair, parts
from DiffRegLib.review.labels import present
from DiffRegLib.review.limits import Light
from DiffRegLib.transforms import DisplacementField, Transform

COARSE = 4.0  # mm between the places that are looked at
MARKEDLY = 0.8  # the error of the other direction that counts as better, of this direction's
FAR_BETTER = 0.5  # the error with turned vectors that cannot be chance, of the error as they are
MARKEDLY_MORE = 0.05  # the Dice overlap by which the other direction counts as better
REACHED = 0.98  # the share of the fixed image that a field should cover


@dataclass(frozen=True)
class Finding:
    """A sentence for the reviewer. kind: `direction`, `vectors`, `overlap`, `reach` or `labels`."""

    kind: str
    light: Light
    sentence: str


def findings(case: Case) -> list[Finding]:
    """Everything that is wrong with a case as a whole, the gravest first."""
    found = [_direction(case), _overlap(case), _reach(case), *_labels(case)]
    ranks = {"red": 0, "amber": 1, "green": 2, "none": 3}
    return sorted((finding for finding in found if finding is not None), key=lambda finding: ranks[finding.light])


def _direction(case: Case) -> Finding | None:
    """Whether the transform fits better the other way round, by the landmarks, or by the labels without any."""
    if case.landmarks is not None:
        p, q = case.landmarks.fixed.double(), case.landmarks.moving.double()
        with torch.no_grad():
            this, other = (float((case.transform(a) - b).norm(dim=1).mean()) for a, b in ((p, q), (q, p)))
        if other < MARKEDLY * this:
            return _turned(f"{other:.2f} mm of landmark error against {this:.2f} mm")
        return _vectors(case.transform, p, q, this)
    elif case.labels is not None:
        this, other = (_overlap_of_labels(case.labels, case.transform, swapped) for swapped in (False, True))
        if other > this + MARKEDLY_MORE:
            return _turned(f"a Dice overlap of {other:.2f} against {this:.2f}")
    return None


def _vectors(transform: Transform, p: Tensor, q: Tensor, error: float) -> Finding | None:
    """Whether a field fits better with its vectors' first two components negated: LPS taken for RAS, or vice versa."""
    if not isinstance(transform, DisplacementField):
        return None
    with torch.no_grad():
        turned = p + (transform(p) - p) * torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
    other = float((turned - q).norm(dim=1).mean())
    if other >= FAR_BETTER * error:
        return None
    sentence = (
        f"The field fits better with the signs of its first two components turned, {other:.2f} mm of landmark error "
        f"against {error:.2f} mm: its vectors seem to be RAS where the file's kind means LPS. Write it again with LPS."
    )
    return Finding("vectors", "red", sentence)


def _turned(figures: str) -> Finding:
    return Finding(
        "direction",
        "red",
        f"The inverse of this transform fits better, {figures}: it seems to map the moving image to the fixed one. "
        "Use the inverse?",
    )


def _overlap_of_labels(labels: LabelPair, transform: Transform, swapped: bool) -> float:
    """Mean Dice on a coarse grid of one map with the other carried onto it; swapped: the moving map stays."""
    stays, carried = (labels.moving, labels.fixed) if swapped else (labels.fixed, labels.moving)
    grid = coarse(stays)
    a = stays.resample(grid, mode="nearest").data[0]
    b = carried.resample(grid, transform, mode="nearest").data[0]
    found = []
    for label in set(a.unique().tolist()) & set(carried.data.unique().tolist()) - {0}:
        x, y = a == label, b == label
        found.append(2 * int((x & y).sum()) / max(1, int(x.sum() + y.sum())))
    return sum(found) / len(found) if found else 0.0


def coarse(like: Lattice) -> Geometry:
    """A grid of about 4 mm over the box of another, never finer than it."""
    return Geometry(like.shape, like.affine).resized(max(COARSE, float(like.spacing.max())))


def shared_share(fixed: Lattice, moving: Image, transform: Transform) -> float:
    """The share of the fixed box that the transform takes into the moving image."""
    with torch.no_grad():
        return float(moving.contains(transform(coarse(fixed).grid())).double().mean())


def _overlap(case: Case) -> Finding | None:
    if case.images is None:
        return None
    fixed, moving = case.images
    share = shared_share(fixed, moving, case.transform)
    if share == 0:
        return Finding(
            "overlap",
            "red",
            "The transform takes no place of the fixed image into the moving one, they do not overlap: check that "
            "transform, fixed and moving image belong together.",
        )
    if share < 0.5:
        sentence = (
            f"Only {100 * share:.0f} % of the fixed image has a counterpart in the moving one: the rest is empty."
        )
        return Finding("overlap", "amber", sentence)
    return None


def _reach(case: Case) -> Finding | None:
    """Whether a field ends inside the fixed box, so that its border value goes on beyond."""
    grid = coarse(case.frame()).grid()
    share = _covered(case.transform, grid)
    if share >= REACHED:
        return None
    return Finding(
        "reach",
        "amber",
        f"The field ends inside the image: it covers {100 * share:.0f} % of it, and beyond it the displacement of its "
        "border goes on, which nothing supports.",
    )


def _covered(transform: Transform, points: Tensor) -> float:
    """The share of points at which all parts of a transform are defined by their own grids."""
    inside = torch.ones(points.shape[:-1], dtype=torch.bool)
    with torch.no_grad():
        for part in reversed(parts(transform)):
            own = getattr(part, "image", None)
            if own is not None:
                inside &= own.contains(points)
            points = part(points)
    return float(inside.double().mean())


def _labels(case: Case) -> list[Finding]:
    if case.labels is None:
        return []
    known = {"fixed": present(case.labels.fixed), "moving": present(case.labels.moving)}
    empty = [side for side, labels in known.items() if not labels]
    if empty:
        sentence = f"The {' and the '.join(empty)} label map has no label: nothing can be compared, give another map."
        return [Finding("labels", "red", sentence)]
    if not known["fixed"] & known["moving"]:
        sentence = "Both label maps have no label in common: give maps that number organs alike."
        return [Finding("labels", "red", sentence)]
    lone = known["fixed"] ^ known["moving"]
    if lone:
        names = ", ".join(case.labels.name(label) for label in sorted(lone)[:5]) + (", ..." if len(lone) > 5 else "")
        return [
            Finding("labels", "amber", f"{len(lone)} labels are in one map only and are left out of means: {names}.")
        ]
    return []
