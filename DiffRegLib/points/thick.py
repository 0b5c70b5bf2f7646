"""Lungs of a CT in thick slices: their surfaces and their larger vessels, where center lines of small ones drown."""

from __future__ import annotations

import torch

from DiffRegLib.image import Image
from DiffRegLib.points.cloud import PointCloud
from DiffRegLib.points.labels import cloud_from_labels
from DiffRegLib.points.lungs import AIR, check_air, eroded, lungs_of

LUNG, VESSELS = 1, 2
"""Labels of the two channels."""
THICK = 2.2
"""mm; edge of a cube of a voxel's volume above which the phantom's vessels are not found any more."""
BORDER = 1
"""Voxels inside of the surface that partial volume makes bright."""


def is_thick(ct: Image) -> bool:
    """Whether the voxels are too large for vessels of a few mm."""
    return float(ct.spacing.prod()) ** (1 / 3) > THICK


def cloud_from_lungs(
    ct: Image, mask: Image | None = None, points: int = 10000, seed: int = 0, name: str = "the CT"
) -> PointCloud:
    """At most `points` points: half on the surface of the lungs (label 1), half on that of their vessels (label 2).

    ct: (1, D, H, W) HU; mask: lungs (anything above 0) on any grid, found by `lung_mask` where none is given. Raises
    `RegistrationError` for an image without air or lung.
    """
    check_air(ct, name)
    whole = lungs_of(ct, mask, name)
    bright = eroded(whole, BORDER) & (ct.data[0] > AIR)
    layers = torch.stack((LUNG * whole.int(), VESSELS * bright.int()))
    return cloud_from_labels(Image(layers, ct.affine), points // 2, seed, None, name)
