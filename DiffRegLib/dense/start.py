"""Where the alignment starts."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.dense.contrast import quantiles
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.transforms import Affine, fit_affine, fit_rigid


def initial_transform(fixed: Image, moving: Image, kind: str, landmarks: tuple[Tensor, Tensor] | None) -> Affine:
    """Fixed -> moving: as the headers say, the centers of brightness, or the landmarks on each other.

    Raises `RegistrationError` where landmarks are asked for but not given.
    """
    if kind == "headers":
        return Affine.identity()
    if kind == "centers":
        return Affine.translation(center_of_brightness(moving) - center_of_brightness(fixed))
    if landmarks is None:
        raise RegistrationError(
            "{initialization} is landmarks, but none are given: give those of both sides, or choose another start.",
            option="initialization",
        )
    fit = fit_affine if len(landmarks[0]) >= THRESHOLDS.fewest_for_affine else fit_rigid
    return fit(*landmarks)


def center_of_brightness(image: Image) -> Tensor:
    """(3,) float64 RAS mm: the mean place, each voxel weighted by how bright it is within the image's window."""
    low, high = (float(q) for q in quantiles(image.data.flatten(), THRESHOLDS.window))
    weight = ((image.data[0].double() - low) / max(high - low, 1e-12)).clamp(0, 1)
    total = weight.sum().clamp(min=1e-12)
    index = []
    for axis in (2, 1, 0):
        profile = weight.sum([a for a in (0, 1, 2) if a != axis])
        index.append((profile * torch.arange(len(profile), dtype=torch.float64)).sum() / total)
    return image.to_world(torch.stack(index))
