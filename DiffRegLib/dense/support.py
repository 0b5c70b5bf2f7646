"""Where the images drive the deformation."""

from __future__ import annotations

import torch

from DiffRegLib.dense.contrast import Contrast, Side
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.image import Image
from DiffRegLib.transforms import Transform

OUTSIDE = "is continued smoothly"
"""What the field does where the images do not drive it."""


def reach(voxel: float) -> float:
    """mm from what has contrast up to which it drives the field; voxel: of the finest level, mm."""
    return THRESHOLDS.reach * THRESHOLDS.neighborhood * voxel


def driven(
    fixed: Image, moving: Image, transform: Transform, masks: tuple[Image | None, Image | None], voxel: float
) -> Image:
    """(1, D, H, W) mm from each voxel of a coarse grid to the nearest one that has contrast and lies in both images."""
    from scipy.ndimage import distance_transform_edt

    spacing = THRESHOLDS.coarse_map * voxel
    contrast = Contrast(*(Side.of(*side, spacing) for side in ((fixed, masks[0]), (moving, masks[1]))), spacing, "lncc")
    lattice = contrast.lattice
    points = transform(lattice.grid().reshape(-1, 3))
    seen = (contrast.difference(points).weight * contrast.textured) > THRESHOLDS.seen
    if not seen.any():
        return Image(torch.full((1, *lattice.shape), torch.inf), lattice.affine)
    spacing = lattice.spacing.flip(0).tolist()
    distance = distance_transform_edt(~seen.numpy(), sampling=spacing)
    return Image(torch.from_numpy(distance).float()[None], lattice.affine)
