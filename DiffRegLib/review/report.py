"""All measures of one registration together, as `metrics.json` holds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.points.listed import Pairs
from DiffRegLib.review.labels import present
from DiffRegLib.review.metrics import ErrorSummary, Folding, dice, folding, mean_dice, target_registration_error
from DiffRegLib.transforms import Affine, Transform


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """Target registration error at the identity and after registration."""

    before: ErrorSummary
    after: ErrorSummary


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Dice by label at the identity and after registration, over the labels that both sides have.

    lone: the labels that only the fixed and only the moving side has. names: of labels that have one. box_mm: lowest
    and highest corner in RAS mm of the fixed label map, in which it was computed.
    """

    before: dict[int, float]
    after: dict[int, float]
    lone: tuple[tuple[int, ...], tuple[int, ...]]
    names: Mapping[int, str]
    box_mm: tuple[tuple[float, ...], tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The mean says over how many of how many labels it goes."""
        labels = {self._name(k): {"before": self.before[k], "after": self.after[k]} for k in self.before}
        return {
            "before": mean_dice(self.before),
            "after": mean_dice(self.after),
            "count": len(self.before),
            "of": len(self.before) + sum(map(len, self.lone)),
            "labels": labels,
            "only_fixed": [self._name(k) for k in self.lone[0]],
            "only_moving": [self._name(k) for k in self.lone[1]],
            "box_ras_mm": [list(corner) for corner in self.box_mm],
        }

    def _name(self, label: int) -> str:
        return self.names.get(label, str(label))


@dataclasses.dataclass(frozen=True)
class Measures:
    """What could be measured; the rest is None. pairs: how the landmarks were matched, where lists were given."""

    folding: Folding
    landmarks: Landmarks | None = None
    overlap: Overlap | None = None
    pairs: Pairs | None = None

    def to_dict(self) -> dict[str, Any]:
        """For `metrics.json`: numbers carry their unit in their name."""
        found: dict[str, Any] = {}
        if self.landmarks:
            before, after = self.landmarks.before.to_dict(), self.landmarks.after.to_dict()
            count = before.pop("count"), after.pop("count")
            found["landmarks"] = {"count": count[0], **self._pairing(), "before_mm": before, "after_mm": after}
        if self.overlap:
            found["dice"] = self.overlap.to_dict()
        found["folded_percent"] = self.folding.percent
        found["folds_counted"] = {"points": self.folding.voxels, "spacing_mm": list(self.folding.spacing_mm)}
        found["jacobian_determinant"] = {"min": self.folding.minimum, "max": self.folding.maximum}
        return found

    def _pairing(self) -> dict[str, Any]:
        if self.pairs is None:
            return {}
        of = len(self.pairs) + len(self.pairs.left_out)
        return {"of": of, "matched_by": self.pairs.by, "left_out": list(self.pairs.left_out)}


def measure(
    transform: Transform,
    geometry: Geometry | Image,
    landmarks: Pairs | tuple[Tensor, Tensor] | None = None,
    labels: tuple[Image, Image] | None = None,
    mask: Image | None = None,
    names: Mapping[int, str] | None = None,
) -> Measures:
    """Measures a transform (fixed -> moving).

    geometry: the box in which folding is looked for, inside `mask` if there is one. landmarks: fixed and moving (L, 3)
    in RAS mm. labels: fixed and moving label map, each on its own grid; the labels that both have are compared. names:
    of labels.
    """
    identity = Affine(torch.eye(4, dtype=torch.float64))
    errors = overlap = None
    pairs = landmarks if isinstance(landmarks, Pairs) else None
    if pairs is not None:
        landmarks = (pairs.fixed, pairs.moving)
    if landmarks is not None:
        summaries = [ErrorSummary.of(target_registration_error(t, *landmarks)) for t in (identity, transform)]
        errors = Landmarks(*summaries)
    if labels is not None:
        overlap = _overlap(transform, *labels, names or {})
    return Measures(folding(transform, geometry, mask), errors, overlap, pairs)


def _overlap(transform: Transform, fixed: Image, moving: Image, names: Mapping[int, str]) -> Overlap:
    known = [present(image) for image in (fixed, moving)]
    shared = sorted(known[0] & known[1])
    if not shared:
        raise RegistrationError("Both label maps have no label in common: give maps that number organs alike.")
    lone = tuple(tuple(sorted(mine - theirs)) for mine, theirs in (known, known[::-1]))
    warped = [moving.resample(fixed.geometry, t, mode="nearest") for t in (None, transform)]
    corners = fixed.corners()
    box = tuple(tuple(round(v, 3) for v in edge.tolist()) for edge in (corners.amin(0), corners.amax(0)))
    return Overlap(*(dice(fixed, image, shared) for image in warped), lone, names, box)
