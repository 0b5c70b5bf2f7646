"""Where the images drive the deformation."""

from __future__ import annotations

import torch

from DiffRegLib.dense.contrast import Contrast, Side
from DiffRegLib.image import Image
from DiffRegLib.transforms import Transform

COARSE = 3.0
"""Voxels of the finest level in one of the grid of the distances."""
SEEN = 0.25
"""Share of a neighborhood's variance that is more than the floor, from which on it counts as a datum."""


def driven(
    fixed: Image, moving: Image, transform: Transform, masks: tuple[Image | None, Image | None], voxel: float
) -> Image:
    """(1, D, H, W) mm from each voxel of a coarse grid to the nearest one that has contrast and lies in both images."""
    from scipy.ndimage import distance_transform_edt

    contrast = Contrast(Side.of(fixed, masks[0]), Side.of(moving, masks[1]), COARSE * voxel, "lncc")
    lattice = contrast.lattice
    points = transform(lattice.grid().reshape(-1, 3))
    seen = (contrast.difference(points).weight * contrast.textured) > SEEN
    if not seen.any():
        return Image(torch.full((1, *lattice.shape), torch.inf), lattice.affine)
    spacing = lattice.spacing.flip(0).tolist()
    distance = distance_transform_edt(~seen.numpy(), sampling=spacing)
    return Image(torch.from_numpy(distance).float()[None], lattice.affine)
