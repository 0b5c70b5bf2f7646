"""Mending by hand: pairs of points where a result is wrong bend it there, smoothly, without folds, and nowhere else.

A pair says that what lies at `fixed` belongs to `moving`. The transform T takes it to T(fixed); a correction C in the
moving frame takes that to where it belongs, and the mended transform is C after T. Its inverse is that of T after that
of C.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.review.case import LandmarkPairs
from DiffRegLib.transforms import Composite, DisplacementField, Transform
from DiffRegLib.transforms.compact import COINCIDE, STEEPEST, CompactSpline

LEAST = 0.02  # the Jacobian determinant of a correction below which it counts as folding
CLOSE = 1e-3  # mm at which a pair counts as met
ROUNDS = 4  # of fitting the sampled correction to the pairs
WIDEST = 400.0  # mm, the widest reach that is proposed
WIDER = 1.15  # steps in which a wider reach is tried
CONTRARY = 0.8  # difference of two moves over the distance of their places, from which on they contradict each other


@dataclasses.dataclass(frozen=True, eq=False)
class Mended:
    """A transform (fixed -> moving) with its correction.

    correction: in the moving frame, sampled on a grid of its own. residual_mm: the largest distance at which a pair is
    missed. inverse: None where there was none to begin with.
    """

    transform: Composite
    inverse: Composite | None
    correction: DisplacementField
    reach: float
    residual_mm: float


def mend(transform: Transform, pairs: LandmarkPairs, reach: float, inverse: Transform | None = None) -> Mended:
    """The transform corrected so that it takes each fixed point of the pairs to its moving one.

    reach: mm around the pairs within which the correction acts. Raises RegistrationError where it would fold: with the
    names of pairs that contradict each other, or the reach that is wide enough.
    """
    spline = correct(transform, pairs, reach)
    with torch.no_grad():
        wrong, right = transform(pairs.fixed.double()), pairs.moving.double()
        correction = _sampled(spline, wrong, right)
        residual = float((correction(wrong) - right).norm(dim=1).max())
        back = None if inverse is None else Composite([inverse, correction.inverse(correction.image.geometry)])
    return Mended(Composite([correction, transform]), back, correction, spline.reach, residual)


def correct(transform: Transform, pairs: LandmarkPairs, reach: float) -> CompactSpline:
    """The correction as a formula, which is there at once: what a person sees while dragging. See `mend`."""
    with torch.no_grad():
        wrong, right = transform(pairs.fixed.double()), pairs.moving.double()
        _check_places(wrong, right, pairs.names)
        spline = CompactSpline.through(wrong, right, reach)
        if spline.least_determinant() < LEAST:
            raise RegistrationError(_why_it_folds(wrong, right, pairs.names, reach))
    return spline


def _sampled(spline: CompactSpline, wrong: Tensor, right: Tensor) -> DisplacementField:
    """The spline on its grid, adjusted until linear interpolation between the nodes meets the pairs."""
    geometry, goal = spline.default_geometry(), right
    for _ in range(ROUNDS):
        correction = spline.sampled(geometry)
        missed = right - correction(wrong)
        if float(missed.norm(dim=1).max()) < CLOSE:
            break
        goal = goal + missed
        spline = CompactSpline.through(wrong, goal, spline.reach)
    return correction


def _check_places(wrong: Tensor, right: Tensor, names: tuple[str, ...]) -> None:
    for places, side in ((wrong, "fixed"), (right, "moving")):
        distance = torch.cdist(places, places) + torch.eye(len(places)) * 1e9
        if len(places) > 1 and float(distance.min()) < COINCIDE:
            a, b = divmod(int(distance.argmin()), len(places))
            raise RegistrationError(
                f"The pairs {names[a]} and {names[b]} contradict each other: on the {side} side both lie in the same "
                "place. Remove one of them."
            )


def _why_it_folds(wrong: Tensor, right: Tensor, names: tuple[str, ...], reach: float) -> str:
    """The sentence that says what to change: two pairs that contradict each other, or a reach that is too short."""
    moves = right - wrong
    apart = torch.cdist(wrong, wrong) + torch.eye(len(wrong)) * 1e9
    contrast = torch.cdist(moves, moves) / apart
    if len(wrong) > 1 and float(contrast.max()) > CONTRARY:
        a, b = divmod(int(contrast.argmax()), len(wrong))
        return (
            f"The pairs {names[a]} and {names[b]} contradict each other: {float(apart[a, b]):.1f} mm apart, they ask "
            f"for moves that differ by {float((moves[a] - moves[b]).norm()):.1f} mm, which would fold. Correct one."
        )
    largest = int(moves.norm(dim=1).argmax())
    enough = _enough(wrong, right, reach)
    remedy = f"give a reach of at least {enough:.0f} mm" if enough else "correct the pairs, no reach is wide enough"
    return (
        f"The correction would fold: pair {names[largest]} asks for a move of {float(moves[largest].norm()):.1f} mm "
        f"within a reach of {reach:.0f} mm, {remedy}."
    )


def _enough(wrong: Tensor, right: Tensor, reach: float) -> float | None:
    """The first wider reach without a fold, in mm, or None."""
    wider = max(reach * WIDER, STEEPEST * float((right - wrong).norm(dim=1).max()))
    while wider <= WIDEST:
        if CompactSpline.through(wrong, right, wider).least_determinant() >= LEAST:
            return float(-(-wider // 1))
        wider *= WIDER
    return None


def mended_field(field: DisplacementField, correction: DisplacementField | CompactSpline) -> DisplacementField:
    """The mended transform as one field on the grid of `field`, of which only what the correction moves is computed.

    field: the transform before, sampled on any grid in the fixed frame: a coarse one for a first look.
    """
    data, reached = field.image.data.clone(), correction.default_geometry()
    low, high = reached.corners().amin(0).float(), reached.corners().amax(0).float()
    affine = field.image.affine.float()
    for k in range(field.image.shape[0]):
        place = _slice(field.image, affine, k)
        mapped = place + data[:, k].movedim(0, -1)
        near = ((mapped >= low) & (mapped <= high)).all(-1)
        if near.any():
            moved = correction(mapped[near])
            data[:, k, near] = (moved - place[near]).T
    return DisplacementField(Image(data, field.image.affine))


def _slice(image: Image, affine: Tensor, k: int) -> Tensor:
    """(H, W, 3) float32 RAS mm of the voxel centers of one slice."""
    _, height, width = image.shape
    i, j = torch.arange(width, dtype=torch.float32), torch.arange(height, dtype=torch.float32)
    row = affine[:3, 0] * i[:, None]
    column = affine[:3, 1] * j[:, None]
    return column[:, None] + row[None] + affine[:3, 2] * k + affine[:3, 3]
