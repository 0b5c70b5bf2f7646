"""The coordinates in which a neural field thinks: centered on the fixed image, along its axes, without unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.geometry import Lattice


@dataclass(frozen=True, eq=False)
class Frame:
    """p = axes^T (x - center) / radius of a point x in RAS mm; the fixed image fills |p| <= half.

    center: (3,) RAS mm. axes: (3, dimension) orthonormal columns, the directions of the image's axes; two for an image
    of one slice, in whose plane the field then moves. radius: mm, half the longest side. half: (dimension,), the
    longest is 1. All float64.
    """

    center: Tensor
    axes: Tensor
    radius: float
    half: Tensor

    @classmethod
    def of(cls, lattice: Lattice) -> Frame:
        """The frame of the box that the voxels of a grid fill."""
        dimension = 2 if lattice.shape[0] == 1 else 3
        extent = (lattice.size * lattice.spacing)[:dimension]
        directions = (lattice.affine[:3, :3] / lattice.spacing)[:, :dimension]
        axes, upper = torch.linalg.qr(directions)
        axes = axes * upper.diagonal().sign()
        return cls(lattice.center, axes, float(extent.max() / 2), extent / extent.max())

    @property
    def dimension(self) -> int:
        return self.axes.shape[1]

    def inward(self, points: Tensor) -> Tensor:
        """(..., 3) RAS mm -> (..., dimension)."""
        axes, center = self.axes.to(points), self.center.to(points)
        return (points - center) @ axes / self.radius

    def outward(self, vectors: Tensor) -> Tensor:
        """(..., dimension) displacements in this frame -> (..., 3) mm along R, A, S."""
        return vectors @ self.axes.to(vectors).T * self.radius

    def same_as(self, other: Frame, tolerance: float = 1e-3) -> bool:
        """Whether both frames describe the same box, to `tolerance` mm."""
        if self.dimension != other.dimension:
            return False
        sides = [frame.axes * frame.half * frame.radius for frame in (self, other)]
        apart = max(float((a - b).abs().max()) for a, b in ((self.center, other.center), sides))
        return apart < tolerance
