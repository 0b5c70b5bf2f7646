"""Points on a surface mesh, spread evenly over its area."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.points.cloud import PointCloud
from DiffRegLib.points.polydata import triangles, vertices
from DiffRegLib.points.sampling import thin, with_mean_one

SURPLUS = 8  # random points for each that is kept


def cloud_from_surface(polydata: Any, points: int = 8000, seed: int = 0, name: str = "the surface") -> PointCloud:
    """`points` points on a surface, with the area that each stands for (divided by its mean) as weight.

    polydata: a vtkPolyData in RAS mm. Random points, as many per mm^2 everywhere, are thinned to the farthest ones.
    Raises `RegistrationError` for one without a surface.
    """
    places, area = area_elements(polydata, SURPLUS * points, seed, name)
    kept, weights = thin(places, area, points, seed)
    cloud = PointCloud.plain(kept, with_mean_one(weights))
    return cloud.check(name)


def area_elements(polydata: Any, n: int, seed: int = 0, name: str = "the surface") -> tuple[Tensor, Tensor]:
    """n random points (n, 3) float32 RAS mm, uniform over the area of the surface, and the area (n,) mm^2 of each."""
    corners = vertices(polydata)[triangles(polydata)]
    if len(corners) == 0:
        raise RegistrationError(f"{name} has points but no surface: give a closed surface, or its points as .csv.")
    sides = corners[:, 1:] - corners[:, :1]
    areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2
    total = areas.sum()
    if not np.isfinite(total) or total <= 0:
        raise RegistrationError(f"{name} has NaN or infinite coordinates or no area: repair the surface.")
    random = np.random.default_rng(seed)
    # stratified along the running area, so that no triangle gets more than its share
    along = (np.arange(n) + random.random(n)) / n * total
    chosen = np.minimum(np.searchsorted(np.cumsum(areas), along), len(areas) - 1)
    a, b = random.random((2, n, 1))
    folded = a + b > 1
    a, b = np.where(folded, 1 - a, a), np.where(folded, 1 - b, b)
    places = corners[chosen, 0] + a * sides[chosen, 0] + b * sides[chosen, 1]
    return torch.from_numpy(places).float(), torch.full((n,), total / n, dtype=torch.float32)
