"""Gaussian derivatives of an image on an isotropic grid, exact in mm for anisotropic voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

ORDERS = {
    "gx": (0, 0, 1), "gy": (0, 1, 0), "gz": (1, 0, 0),
    "xx": (0, 0, 2), "yy": (0, 2, 0), "zz": (2, 0, 0),
    "xy": (0, 1, 1), "xz": (1, 0, 1), "yz": (1, 1, 0),
}  # fmt: skip
"""Order of the derivative along (z, y, x)."""


def derivative_matrix(n: int, spacing: float, positions: np.ndarray, sigma: float, order: int) -> Tensor:
    """(len(positions), n) float32: from n samples to the derivative of their linear interpolation, Gaussian-smoothed.

    spacing, sigma and positions are in mm, sample 0 lies at 0; beyond its ends the signal keeps its last value.
    order is 0, 1 or 2. (A cubic spline would ring beside small vessels in thick slices.)
    """
    margin = int(np.ceil(4 * sigma / spacing)) + 2
    step = min(spacing, sigma) / 4
    fine = np.arange(-margin * spacing, (n - 1 + margin) * spacing + step / 2, step)
    place = np.clip(fine / spacing, 0, n - 1)
    interpolation = np.clip(1 - np.abs(place[:, None] - np.arange(n)), 0, None)
    u = (positions[:, None] - fine[None]) / sigma
    gaussian = np.exp(-(u**2) / 2) * step / (sigma * np.sqrt(2 * np.pi))
    factor = {0: 1.0, 1: -u / sigma, 2: (u**2 - 1) / sigma**2}[order]
    return torch.from_numpy((gaussian * factor) @ interpolation).float()


@dataclass(frozen=True)
class Differentiator:
    """The separable operators of one scale between a volume (D, H, W) and an isotropic grid."""

    matrices: tuple[tuple[Tensor, Tensor, Tensor], ...]  # [axis z, y, x][order]

    @classmethod
    def of(
        cls, shape: tuple[int, ...], spacing: tuple[float, ...], grid: tuple[np.ndarray, ...], sigma: float
    ) -> Differentiator:
        """shape, spacing (mm) and positions of the new grid (mm) along (z, y, x); sigma in mm."""
        matrices = []
        for n, s, positions in zip(shape, spacing, grid, strict=True):
            value, first, second = (derivative_matrix(n, s, positions, sigma, order) for order in range(3))
            matrices.append((value, first, second))
        return cls(tuple(matrices))

    def __call__(self, volume: Tensor, rows: slice) -> dict[str, Tensor]:
        """First and second derivatives (per mm, per mm^2) of a (D, H, W) volume in these z rows of the new grid."""
        z, y, x = self.matrices
        flat = volume.reshape(len(volume), -1)
        along_z = [(m[rows] @ flat).reshape(-1, *volume.shape[1:]) for m in z]
        along_y: dict[tuple[int, int], Tensor] = {}
        result = {}
        for name, (a, b, c) in ORDERS.items():
            if (a, b) not in along_y:
                along_y[a, b] = torch.matmul(y[b], along_z[a])
            result[name] = torch.matmul(along_y[a, b], x[c].T)
        return result
