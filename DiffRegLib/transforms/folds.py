"""Where a displacement field folds, at the strictest that its interpolation allows, and how it is mended."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.ops.axes import box, filter_axes

LEAST = 0.05
"""The Jacobian determinant down to which a field is left as it is."""
ROUNDS = 100


def least_determinant(field: Image) -> Tensor:
    """(D, H, W): the smallest Jacobian determinant of x + u(x) at the corners of the cells that meet in a voxel center.

    field: u (3, D, H, W) in RAS mm, linear between voxel centers. Within a cell the determinant is a blend of such
    corners' differences: where all are well above 0, no finer grid finds a fold, nor do central differences.
    """
    data = field.data
    padded = torch.nn.functional.pad(data[None], (1,) * 6, mode="replicate")[0]
    least = torch.full(data.shape[1:], torch.inf, device=data.device)
    volume = float(torch.linalg.det(field.affine[:3, :3]))
    unit = field.affine[:3, :3].to(data)[:, :, None, None, None]
    ahead = [padded.diff(dim=axis) for axis in (3, 2, 1)]
    inner = slice(1, -1)
    sides = (slice(0, -1), slice(1, None))
    for x in sides:
        for y in sides:
            along_i, along_j = ahead[0][:, inner, inner, x] + unit[:, 0], ahead[1][:, inner, y, inner] + unit[:, 1]
            across = torch.linalg.cross(along_i, along_j, dim=0)
            for z in sides:
                spanned = (across * (ahead[2][:, z, inner, inner] + unit[:, 2])).sum(0)
                least = torch.minimum(least, spanned / volume)
    return least


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
