"""How well a cloud that moves fills the space of one that stays."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.methods.splatting.density import DensityGrid, affordable_voxel, half_density, saturate
from DiffRegLib.points import PointCloud

SMOOTH_SIGN = 0.05  # of the difference of two saturated densities, where the L1 loss is smooth


class ChannelSimilarity:
    """E = |S(D_moved) - S(D_still)| / |S(D_still)| of one channel, squared norms for L2; 0 is perfect.

    The gradient to a point is the slope of a potential, the blurred derivative of E to the density:
    dE/dy_i = w_i grad P(y_i), P = G [dE/dD]. With P taken at the points, sum_i w_i P(y_i) has the gradient of E, and no
    graph through the grid is kept.
    """

    def __init__(
        self, still: PointCloud, moved: PointCloud, sigma: float, voxel: float, saturation: float, loss: str
    ) -> None:
        both = torch.cat((still.points, moved.points))
        self._grid = grid = DensityGrid(both, sigma, affordable_voxel(both, sigma, voxel))
        self._weights, self._l1 = moved.weights, loss == "l1"
        own = grid.density(moved.points, moved.weights)
        target = grid.density(still.points, still.weights)
        self._half = half_density(grid, own, moved.points, saturation)
        self._target = saturate(target, half_density(grid, target, still.points, saturation))
        self._norm = float((self._target.abs() if self._l1 else self._target**2).sum()) + 1e-9

    def __call__(self, points: Tensor) -> tuple[float, Tensor]:
        """E at the (N, 3) points of the moved cloud, and a scalar whose gradient to them is that of E."""
        value, potential = self._potential(points.detach())
        return value, (self._weights * self._grid.read(potential, points)).sum()

    @torch.no_grad()
    def _potential(self, points: Tensor) -> tuple[float, Tensor]:
        density = self._grid.density(points, self._weights)
        difference = saturate(density, self._half) - self._target
        slope = self._half / (density + self._half) ** 2
        if self._l1:
            value, force = difference.abs(), difference / (difference.abs() + SMOOTH_SIGN)
        else:
            value, force = difference**2, 2 * difference
        return float(value.sum()) / self._norm, self._grid.blur(force * slope) / self._norm


class Similarity:
    """The mean over the channels in which both clouds have points."""

    def __init__(self, still: PointCloud, moved: PointCloud, sigma: float, voxel: float, saturation: float, loss: str):
        self._parts = [
            (index, ChannelSimilarity(still.select(other), moved.select(index), sigma, voxel, saturation, loss))
            for index, other in shared_channels(moved, still)
        ]

    def __call__(self, points: Tensor) -> tuple[float, Tensor]:
        """Its value at the (N, 3) points of the moved cloud, and a scalar whose gradient to them is that of the value.

        The scalar is linear in each channel's potential: its own value means nothing.
        """
        found = [part(points[index]) for index, part in self._parts]
        values, scalars = zip(*found)
        return sum(values) / len(found), sum(scalars) / len(found)


def shared_channels(a: PointCloud, b: PointCloud) -> list[tuple[Tensor, Tensor]]:
    """Indices of the points of each channel in two clouds of equal labels; channels that one of them lacks drop out."""
    pairs = []
    for channel in range(len(a.labels)):
        pair = tuple((cloud.channels == channel).nonzero()[:, 0] for cloud in (a, b))
        if len(pair[0]) and len(pair[1]):
            pairs.append(pair)
    return pairs
