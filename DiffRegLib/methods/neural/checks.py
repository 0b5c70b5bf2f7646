"""What is refused before any work begins, and what is said of it."""

from __future__ import annotations

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.options import NeuralOptions
from DiffRegLib.options import validate

SCHEDULES = ("blurs", "spacings", "iterations", "samples")
ALIKE = 0.3
"""Correlation of the images' grey values at the start below which they may be of two modalities."""


def check_options(options: NeuralOptions) -> None:
    """Raises `RegistrationError` for values out of range and for schedules that do not fit together."""
    validate(options)
    if len({len(getattr(options, name)) for name in SCHEDULES}) != 1:
        words = ", ".join(f"{{{name}}}" for name in SCHEDULES[:-1]) + f" and {{{SCHEDULES[-1]}}}"
        raise RegistrationError(f"{words} have different lengths: give one value a level to each.", option=SCHEDULES)


def check_pair(fixed: Image, moving: Image, masks: tuple[Image | None, Image | None]) -> None:
    """Raises `RegistrationError` for images that cannot be compared."""
    for image, name in ((fixed, "fixed"), (moving, "moving")):
        if image.channels != 1:
            raise RegistrationError(
                f"The {name} image has {image.channels} channels: give one of them, as a volume of its own."
            )
        if float(image.data.max()) == float(image.data.min()):
            raise RegistrationError(f"The {name} image is the same everywhere: check the file.")
    if (fixed.shape[0] == 1) != (moving.shape[0] == 1):
        raise RegistrationError("One image has a single slice and the other has more: give two of the same kind.")
    for mask, name in zip(masks, ("fixed", "moving")):
        if mask is not None and not bool((mask.data != 0).any()):
            raise RegistrationError(f"The {name} mask is empty: mark what shall be used, or leave it out.")
