"""Voxels that match the pixels: no ray passes between them, and none is finer than a radiograph can show."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.image import Image

COARSE = 1.8  # a voxel may be this many times as wide as a pixel is at the center of the volume


def pooled(volume: Image, widest: float) -> Image:
    """Averages blocks of voxels up to `widest` mm; the far end is padded with air to whole blocks."""
    spacing = volume.affine[:3, :3].norm(dim=0)
    factors = [max(1, int(widest / float(s) + 1e-6)) for s in spacing]  # along i, j, k
    if max(factors) == 1:
        return volume
    missing = [-n % f for n, f in zip(reversed(volume.shape), factors)]
    data = F.pad(volume.data, [p for m in missing for p in (0, m)])
    data = F.avg_pool3d(data[None], tuple(reversed(factors)))[0]
    affine = volume.affine.clone()
    affine[:3, :3] *= torch.tensor(factors, dtype=affine.dtype)
    affine[:3, 3] = volume.to_world(torch.tensor([(f - 1) / 2 for f in factors], dtype=torch.float64))
    return Image(data, affine)


def pixel_at(camera: Camera, point: Tensor) -> float:
    """Width of a pixel in mm where it is projected back to the depth of a point (3,) in RAS mm."""
    place = torch.cat([point.double().cpu(), torch.ones(1, dtype=torch.float64)])
    depth = (torch.linalg.inv(camera.pose.double()) @ place)[2]
    return min(map(abs, camera.spacing)) * float(depth) / camera.distance
