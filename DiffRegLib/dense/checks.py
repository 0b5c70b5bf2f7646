"""What is refused before any work begins."""

from __future__ import annotations

from DiffRegLib.dense.lattice import coarsened
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.transforms import Transform

PROBES = 32
"""Points along the longest axis of the fixed image of which one must start within the moving one."""


def check_images(
    fixed: Image, moving: Image, start: Transform, masks: tuple[Image | None, Image | None] = (None, None)
) -> None:
    """Raises `RegistrationError` where two images cannot be compared from that start."""
    for image, mask, name in zip((fixed, moving), masks, ("fixed", "moving"), strict=True):
        if image.channels != 1:
            raise RegistrationError(f"The {name} image has {image.channels} channels: give an image with one.")
        if min(image.shape) < THRESHOLDS.fewest_voxels:
            size = " x ".join(map(str, image.shape[::-1]))
            raise RegistrationError(
                f"The {name} image has {size} voxels: give one of at least {THRESHOLDS.fewest_voxels} along every axis."
            )
        if not image.data.isfinite().all():
            raise RegistrationError(f"The {name} image holds NaN or infinite voxels: replace them.")
        if float(image.data.min()) == float(image.data.max()):
            raise RegistrationError(f"The {name} image has one value everywhere: give an image that shows something.")
        if mask is not None and not bool((mask.data > 0).any()):
            raise RegistrationError(
                f"The mask of the {name} image is empty: give one that covers what shall be looked at.",
                option=f"{name}_mask",
            )
    probes = coarsened(fixed, float((fixed.size * fixed.spacing).max()) / PROBES).grid()
    if not moving.contains(start(probes)).any():
        raise RegistrationError(
            "The fixed and the moving image do not overlap where the registration starts: check their geometry, or "
            "choose centers or landmarks for the {initialization}.",
            option="initialization",
        )
