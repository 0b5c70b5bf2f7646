"""Where a displacement field folds, at the strictest that its interpolation allows, and how it is mended."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.ops import fields
from DiffRegLib.ops.axes import box, filter_axes

LEAST = 0.05
"""The Jacobian determinant down to which a field is left as it is."""
ROUNDS = 100


def least_determinant(field: Image) -> Tensor:
    """(D, H, W): the smallest Jacobian determinant of x + u(x) at the corners of the cells that meet in a voxel center.

    field: u (3, D, H, W) in RAS mm, linear between voxel centers. Within a cell the determinant is a blend of such
    corners' differences: where all are well above 0, no finer grid finds a fold, nor do central differences.
    """
    return fields.least_determinant(field.data, field.affine[:3, :3])


def unfolded(field: Image, least: float = LEAST, rounds: int = ROUNDS) -> Image:
    """Smooths a field (3, D, H, W) in mm only where its Jacobian determinant is below `least`, until it nowhere is."""
    pooling = [p @ p for p in (box(n, 1, field.data) for n in field.shape)]
    for _ in range(rounds):
        folded = least_determinant(field) < least
        if not folded.any():
            break
        near = torch.nn.functional.max_pool3d(folded[None].to(field.data), 5, 1, 2)
        mask = filter_axes(near, pooling)
        field = Image(field.data + mask * (filter_axes(field.data, pooling) - field.data), field.affine)
    return field
