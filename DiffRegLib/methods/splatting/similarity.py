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
    dE/dy_i = w_i grad P(y_i), P = G [dE/dD]. `refresh` computes P; sum_i w_i P(y_i) then has the gradient of E, and
    no graph through the grid is kept.
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
        self._potential = torch.zeros_like(target)

    @torch.no_grad()
    def refresh(self, points: Tensor) -> float:
        """Takes the potential at the (N, 3) points of the moved cloud; returns E."""
        density = self._grid.density(points, self._weights)
        difference = saturate(density, self._half) - self._target
        slope = self._half / (density + self._half) ** 2
        if self._l1:
            value, force = difference.abs(), difference / (difference.abs() + SMOOTH_SIGN)
        else:
            value, force = difference**2, 2 * difference
        self._potential = self._grid.blur(force * slope) / self._norm
        return float(value.sum()) / self._norm

    def __call__(self, points: Tensor) -> Tensor:
        """A scalar whose gradient to the (N, 3) points is that of E at the last refresh."""
        return (self._weights * self._grid.read(self._potential, points)).sum()


class Similarity:
    """The mean over the channels in which both clouds have points."""

    def __init__(self, still: PointCloud, moved: PointCloud, sigma: float, voxel: float, saturation: float, loss: str):
        self._parts = [
            (index, ChannelSimilarity(still.select(other), moved.select(index), sigma, voxel, saturation, loss))
            for index, other in shared_channels(moved, still)
        ]

    def refresh(self, points: Tensor) -> float:
        points = points.detach()
        return sum(part.refresh(points[index]) for index, part in self._parts) / len(self._parts)

    def __call__(self, points: Tensor) -> Tensor:
        return sum(part(points[index]) for index, part in self._parts) / len(self._parts)


def shared_channels(a: PointCloud, b: PointCloud) -> list[tuple[Tensor, Tensor]]:
    """Indices of the points of each channel in two clouds of equal labels; channels that one of them lacks drop out."""
    pairs = []
    for channel in range(len(a.labels)):
        pair = tuple((cloud.channels == channel).nonzero()[:, 0] for cloud in (a, b))
        if len(pair[0]) and len(pair[1]):
            pairs.append(pair)
    return pairs
