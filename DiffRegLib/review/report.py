"""All measures of one registration together, as `metrics.json` holds them."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.review.metrics import ErrorSummary, Folding, dice, folding, mean_dice, target_registration_error
from DiffRegLib.transforms import Affine, Transform


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """Target registration error at the identity and after registration."""

    before: ErrorSummary
    after: ErrorSummary


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Dice by label at the identity and after registration."""

    before: dict[int, float]
    after: dict[int, float]


@dataclasses.dataclass(frozen=True)
class Measures:
    """What could be measured; the rest is None."""

    folding: Folding
    landmarks: Landmarks | None = None
    overlap: Overlap | None = None

    def to_dict(self) -> dict[str, Any]:
        """For `metrics.json`: numbers carry their unit in their name."""
        found: dict[str, Any] = {}
        if self.landmarks:
            before, after = self.landmarks.before.to_dict(), self.landmarks.after.to_dict()
            count = before.pop("count"), after.pop("count")
            found["landmarks"] = {"count": count[0], "before_mm": before, "after_mm": after}
        if self.overlap:
            before, after = self.overlap.before, self.overlap.after
            labels = {str(k): {"before": before[k], "after": after[k]} for k in before}
            found["dice"] = {"before": mean_dice(before), "after": mean_dice(after), "labels": labels}
        found["folded_percent"] = self.folding.percent
        found["jacobian_determinant"] = {"min": self.folding.minimum, "max": self.folding.maximum}
        return found


def measure(
    transform: Transform,
    geometry: Geometry | Image,
    landmarks: tuple[Tensor, Tensor] | None = None,
    labels: tuple[Image, Image] | None = None,
    mask: Image | None = None,
) -> Measures:
    """Measures a transform (fixed -> moving).

    geometry: the grid on which folding is looked for, inside `mask` if there is one. landmarks: fixed and moving (L, 3)
    in RAS mm. labels: fixed and moving label map, each on its own grid; the labels that both have are compared.
    """
    identity = Affine(torch.eye(4, dtype=torch.float64))
    errors = overlap = None
    if landmarks is not None:
        summaries = [ErrorSummary.of(target_registration_error(t, *landmarks)) for t in (identity, transform)]
        errors = Landmarks(*summaries)
    if labels is not None:
        overlap = _overlap(transform, *labels)
    return Measures(folding(transform, geometry, mask), errors, overlap)


def _overlap(transform: Transform, fixed: Image, moving: Image) -> Overlap:
    present = [set(image.data.unique().long().tolist()) - {0} for image in (fixed, moving)]
    shared = sorted(present[0] & present[1])
    if not shared:
        raise RegistrationError("Both label maps have no label in common: give maps that number organs alike.")
    warped = [moving.resample(fixed.geometry, t, mode="nearest") for t in (None, transform)]
    return Overlap(*(dice(fixed, image, shared) for image in warped))
