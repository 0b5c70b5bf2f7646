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


REACH = 6.0
"""Sigmas beyond which a Gaussian is nothing: less than 1e-6 of its derivatives."""
BLOCK = 48
"""Rows of a matrix that are multiplied together with the few columns that are not zero in them."""


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
    gaussian = np.where(np.abs(u) < REACH, np.exp(-(u**2) / 2), 0) * step / (sigma * np.sqrt(2 * np.pi))
    factor = {0: 1.0, 1: -u / sigma, 2: (u**2 - 1) / sigma**2}[order]
    return torch.from_numpy((gaussian * factor) @ interpolation).float()


class Banded:
    """A matrix (M, N) float32 whose entries stand near its diagonal, multiplied along an axis of a volume."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        filled = matrix != 0
        self._first = filled.int().argmax(1).tolist()
        self._last = (matrix.shape[1] - filled.flip(1).int().argmax(1)).tolist()

    def along(self, volume: Tensor, axis: int, rows: slice = slice(None), offset: int = 0) -> Tensor:
        """The products of these rows with a volume (D, H, W) along one of its axes, which begins at column `offset`."""
        start, stop, _ = rows.indices(len(self.matrix))
        shape = list(volume.shape)
        shape[axis] = stop - start
        result = torch.empty(shape)
        for low in range(start, stop, BLOCK):
            high = min(low + BLOCK, stop)
            first, last = min(self._first[low:high]), max(self._last[low:high])
            part, source = self.matrix[low:high, first:last], volume.narrow(axis, first - offset, last - first)
            target = result.narrow(axis, low - start, high - low)
            if axis == 0:
                target.copy_((part @ source.reshape(last - first, -1)).reshape(target.shape))
            else:
                target.copy_(torch.matmul(part, source) if axis == 1 else torch.matmul(source, part.T))
        return result

    def columns(self, rows: slice) -> tuple[int, int]:
        """The first column that is not zero in these rows, and the one behind the last."""
        return min(self._first[rows]), max(self._last[rows])


@dataclass(frozen=True)
class Differentiator:
    """The separable operators of one scale between a volume (D, H, W) and an isotropic grid."""

    matrices: tuple[tuple[Banded, Banded, Banded], ...]  # [axis z, y, x][order]

    @classmethod
    def of(
        cls, shape: tuple[int, ...], spacing: tuple[float, ...], grid: tuple[np.ndarray, ...], sigma: float
    ) -> Differentiator:
        """shape, spacing (mm) and positions of the new grid (mm) along (z, y, x); sigma in mm."""
        matrices = []
        for n, s, positions in zip(shape, spacing, grid, strict=True):
            value, first, second = (Banded(derivative_matrix(n, s, positions, sigma, order)) for order in range(3))
            matrices.append((value, first, second))
        return cls(tuple(matrices))

    def slices(self, rows: slice) -> slice:
        """The slices of the volume that these z rows of the new grid are made of."""
        ends = [m.columns(rows) for m in self.matrices[0]]
        return slice(min(first for first, _ in ends), max(last for _, last in ends))

    def __call__(self, volume: Tensor, rows: slice, offset: int = 0) -> dict[str, Tensor]:
        """First and second derivatives (per mm, per mm^2) of a (D, H, W) volume in these z rows of the new grid.

        offset: the number of the volume's first slice, where only some of them are given.
        """
        z, y, x = self.matrices
        along_z = [m.along(volume, 0, rows, offset) for m in z]
        along_y: dict[tuple[int, int], Tensor] = {}
        result = {}
        for name, (a, b, c) in ORDERS.items():
            if (a, b) not in along_y:
                along_y[a, b] = y[b].along(along_z[a], 1)
            result[name] = x[c].along(along_y[a, b], 2)
        return result
