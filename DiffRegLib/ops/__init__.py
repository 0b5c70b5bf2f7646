"""Differentiable operators between points and grids, on CPU and CUDA.

They speak normalized coordinates: (x, y, z) in [-1, 1] with torch's `align_corners=False`, zero outside the grid.
"""

from DiffRegLib.ops.backend import available, last_backend
from DiffRegLib.ops.points import sample, splat
from DiffRegLib.ops.projection import Volume, default_step, project

__all__ = ["Volume", "available", "default_step", "last_backend", "project", "sample", "splat"]
