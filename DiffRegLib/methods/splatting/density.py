"""Densities of point clouds: points splatted into a grid, blurred by a Gaussian, saturated.

With G the blur, the density of a cloud is D = G splat(p, w), equation 1 of Heinrich et al., ICCV 2023. A voxel is full
where many points fall: S(D) = D / (D + c), so that clouds of unequal density compare by the space they fill.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.ops import sample, splat
from DiffRegLib.ops.axes import REACH, filter_axes

TRILINEAR_VARIANCE = 1 / 6  # voxels^2, the mean that splatting into eight voxels adds to a blur
LARGEST_GRID = 6_000_000  # voxels


class DensityGrid:
    """The grid around some points on which their densities of one blur live."""

    def __init__(self, points: Tensor, sigma: float, voxel: float) -> None:
        """points: (N, 3) RAS mm that the grid holds with a margin; sigma: blur in mm; voxel: spacing in mm."""
        self.geometry = Geometry.around(points, voxel, margin=2 * sigma)
        self.voxel = voxel
        self.sigma = sigma
        variance = (sigma / self.voxel) ** 2 - TRILINEAR_VARIANCE
        self._gaussians = gaussian_matrices(self.geometry.shape, math.sqrt(max(variance, 0.1)), points)

    def density(self, points: Tensor, weights: Tensor) -> Tensor:
        """(D, H, W): the blurred splat of (N, 3) points with (N,) weights; a lone point of weight 1 peaks near 1."""
        normalized = self.geometry.normalize(points)[None]
        return self.blur(splat(normalized, weights[None, None], self.geometry.shape)[0, 0])

    def blur(self, volume: Tensor) -> Tensor:
        return filter_axes(volume, self._gaussians)

    def read(self, volume: Tensor, points: Tensor) -> Tensor:
        """(N,) trilinear values at (N, 3) points, zero outside; differentiable in the points."""
        return sample(volume[None, None], self.geometry.normalize(points)[None])[0, 0]


def affordable_voxel(points: Tensor, sigma: float, smallest: float) -> float:
    """The voxel in mm for a blur: fine enough for it, not below `smallest`, and not too many around (N, 3) points."""
    voxel = max(sigma, smallest)
    box = points.amax(0) - points.amin(0) + 4 * sigma
    return max(voxel, (float(box.prod()) / LARGEST_GRID) ** (1 / 3))


def saturate(density: Tensor, half: float) -> Tensor:
    """S(D) = D / (D + half), from 0 in empty space towards 1."""
    return density / (density + half)


def half_density(grid: DensityGrid, density: Tensor, points: Tensor, saturation: float) -> float:
    """The density at which a voxel counts as half full: `saturation` times the median at the cloud's own points."""
    return saturation * max(float(grid.read(density, points).median()), 1e-3)


def gaussian_matrices(shape: tuple[int, int, int], sigma: float, like: Tensor) -> list[Tensor]:
    """One (n, n) matrix an axis that convolves it with a Gaussian of peak 1; sigma in voxels."""
    matrices = []
    for n in shape:
        index = torch.arange(n, device=like.device, dtype=like.dtype)
        distance = (index[:, None] - index) / sigma
        matrices.append(torch.exp(-(distance**2) / 2) * (distance.abs() <= REACH))
    return matrices
