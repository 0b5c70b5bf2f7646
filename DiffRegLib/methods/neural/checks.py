"""What is refused before any work begins, and what is said of it."""

from __future__ import annotations

import math

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import boxes_overlap
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.options import NeuralOptions
from DiffRegLib.options import validate
from DiffRegLib.transforms import Transform

SCHEDULES = ("blurs", "spacings", "iterations", "samples")


def check_options(options: NeuralOptions) -> None:
    """Raises `RegistrationError` for values out of range and for schedules that do not fit together."""
    validate(options)
    if len({len(getattr(options, name)) for name in SCHEDULES}) != 1:
        words = ", ".join(f"{{{name}}}" for name in SCHEDULES[:-1]) + f" and {{{SCHEDULES[-1]}}}"
        raise RegistrationError(f"{words} have different lengths: give one value a level to each.", option=SCHEDULES)


def check_pair(
    fixed: Image, moving: Image, masks: tuple[Image | None, Image | None], initial: Transform | None = None
) -> None:
    """Raises `RegistrationError` for images that cannot be compared from where the initial transform begins."""
    for image, name in ((fixed, "fixed"), (moving, "moving")):
        if image.channels != 1:
            raise RegistrationError(
                f"The {name} image has {image.channels} channels: give one of them, as a volume of its own."
            )
        low, high = (float(limit) for limit in torch.aminmax(image.data))
        if not math.isfinite(low) or not math.isfinite(high):
            raise RegistrationError(f"The {name} image holds NaN or infinite voxels: replace them.")
        if low == high:
            raise RegistrationError(f"The {name} image is the same everywhere: check the file.")
    if (fixed.shape[0] == 1) != (moving.shape[0] == 1):
        raise RegistrationError("One image has a single slice and the other has more: give two of the same kind.")
    for mask, name in zip(masks, ("fixed", "moving")):
        if mask is not None and not bool((mask.data != 0).any()):
            raise RegistrationError(
                f"The {name} mask is empty: mark what shall be used, or leave it out.", option=f"{name}_mask"
            )
    if not boxes_overlap(fixed, moving, initial):
        where = "even after the initial transform" if initial is not None else "in RAS mm"
        raise RegistrationError(
            f"The fixed and the moving image do not overlap {where}: check their geometry, or bring them together "
            "with an initial transform."
        )
