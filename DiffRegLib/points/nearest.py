"""How far it is to the nearest point of a cloud."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image


def nearest(places: Tensor, points: Tensor) -> Tensor:
    """(M,) mm from places (M, 3) to the nearest of (N, 3) points, both in RAS mm; without gradient."""
    from scipy.spatial import cKDTree

    found, _ = cKDTree(points.detach().cpu().numpy()).query(places.detach().cpu().numpy())
    return torch.from_numpy(found).to(places)


def distance_map(points: Tensor, geometry: Geometry) -> Image:
    """(1, D, H, W) float32 mm from the voxel centers of a grid to the nearest of (N, 3) points, RAS mm."""
    distance = nearest(geometry.grid().reshape(-1, 3), points)
    return Image(distance.reshape(1, *geometry.shape), geometry.affine)
