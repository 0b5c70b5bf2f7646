"""The normal equations of a small further motion: at every voxel a 3 x 3 matrix and a vector."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.dense.contrast import Difference
from DiffRegLib.geometry import Lattice
from DiffRegLib.ops.axes import filter_axes

ENTRIES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Rows and columns of the six entries of a symmetric 3 x 3 matrix, as they are kept."""


@dataclass(frozen=True)
class Normal:
    """The energy of a further motion d is, to second order, energy - b d + d H d / 2, summed over voxels.

    matrix: H (6, D, H, W), entries as in `ENTRIES`. vector: b (3, D, H, W) along R, A, S; mm and mm^2 of a volume.
    """

    matrix: Tensor
    vector: Tensor

    @classmethod
    def of(cls, difference: Difference, lattice: Lattice) -> Normal:
        """Gauss-Newton: the residual's own second derivatives are left out."""
        gradient, residual = difference.gradient, difference.residual
        scale = float(lattice.spacing.prod()) / (difference.scale * len(residual)) * difference.weight
        matrix = gradient.new_empty(len(ENTRIES), *scale.shape)
        for entry, (a, b) in zip(matrix, ENTRIES):  # one after the other: each has the size of the level
            torch.mul((gradient[a] * gradient[b]).sum(0), scale, out=entry)
        return cls(matrix, (gradient * residual).sum(1).mul_(scale))

    def __add__(self, other: Normal) -> Normal:
        return Normal(self.matrix + other.matrix, self.vector + other.vector)

    def pooled(self, matrices: list[Tensor]) -> Normal:
        """The same on a coarser grid, by matrices that keep sums."""
        return Normal(filter_axes(self.matrix, matrices), filter_axes(self.vector, matrices))

    def applied(self, motion: Tensor) -> Tensor:
        """H d for (3, D, H, W)."""
        xx, yy, zz, xy, xz, yz = self.matrix
        x, y, z = motion
        return torch.stack((xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z))
