"""The flow of a stationary velocity field: where points are carried, forth and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.geometry import Lattice
from DiffRegLib.ops import sample

STEP = 2.0
"""Voxels that a point moves in one step of the integration, at most."""
FEWEST, MOST = 2, 16
"""Steps of an integration."""


class Field:
    """Vectors (3, D, H, W) in RAS mm on a grid, read between its voxels; beyond it the border's value."""

    def __init__(self, vectors: Tensor, lattice: Lattice) -> None:
        self._vectors = vectors[None].contiguous()
        self._lattice = lattice
        self._edge = 1 - 1 / lattice.size.to(vectors)

    def __call__(self, points: Tensor) -> Tensor:
        """(N, 3) at points (N, 3) in RAS mm."""
        normalized = self._lattice.normalize(points)
        normalized = torch.minimum(torch.maximum(normalized, -self._edge), self._edge)
        return sample(self._vectors, normalized[None])[0].T


def flow(velocity: Tensor, lattice: Lattice, points: Tensor, sign: float = 1.0) -> Tensor:
    """(N, 3) RAS mm points after unit time in a velocity field (3, D, H, W), by fourth-order Runge-Kutta.

    sign: -1 runs time backwards, which inverts the flow.
    """
    read = Field(sign * velocity, lattice)
    farthest = float(velocity.norm(dim=0).max())
    steps = min(MOST, max(FEWEST, math.ceil(farthest / (STEP * float(lattice.spacing.min())))))
    h = 1 / steps
    for _ in range(steps):
        a = read(points)
        b = read(points + h / 2 * a)
        c = read(points + h / 2 * b)
        d = read(points + h * c)
        points = points + h / 6 * (a + 2 * b + 2 * c + d)
    return points
