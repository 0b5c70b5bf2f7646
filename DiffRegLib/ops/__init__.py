"""Differentiable operators between points, rays and grids, on CPU and CUDA.

Points speak normalized coordinates, (x, y, z) in [-1, 1] with torch's `align_corners=False`, rays those of voxels; both
find zero outside the grid.
"""

from DiffRegLib.ops.backend import available, last_backend
from DiffRegLib.ops.points import sample, splat
from DiffRegLib.ops.projection import project
from DiffRegLib.ops.rays import Rays

__all__ = ["Rays", "available", "last_backend", "project", "sample", "splat"]
