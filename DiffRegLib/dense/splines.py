"""A vector field as cubic B-splines, and what its roughness costs.

Rueckert et al., Nonrigid registration using free-form deformations, TMI 1999.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.dense.lattice import places
from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.ops.axes import cosine, cubic_spline, filter_axes, transposed

FIT = 1e-4
"""Weight that ties control points which no voxel of a fit sees."""


class Splines:
    """Cubic B-splines with control points `spacing` mm apart, one beyond the box of `geometry` on every side.

    A field is its coefficients (3, d, h, w) in mm. Its roughness is half the integral of |grad v|^2 + |h lap v|^2 in
    mm^3, h the spacing, taken as the differences of neighboring coefficients: the first for what is stretched, the
    second for what is bent within a control point or two. `nodes`: a grid twice as fine as the control points, on which
    the field can be handled without loss worth mentioning.
    """

    def __init__(self, geometry: Lattice, spacing: float, like: Tensor) -> None:
        count = torch.ceil(geometry.size * geometry.spacing / spacing) + 3
        affine = geometry.affine.clone()
        affine[:3, :3] *= spacing / geometry.spacing
        affine[:3, 3] = geometry.center - affine[:3, :3] @ ((count - 1) / 2)
        self.geometry = Geometry(tuple(int(n) for n in count.flip(0)), affine)
        self.spacing, self._like = spacing, like
        halved = affine.clone()
        halved[:3, :3] /= 2
        self.nodes = Geometry(tuple(2 * n - 1 for n in self.geometry.shape), halved)
        self._cosines = [cosine(n, like) for n in self.geometry.shape]
        # second differences have the eigenvalues 2 - 2 cos(pi i / n), their eigenvectors are the cosines
        d, h, w = ((2 - 2 * torch.cos(math.pi * torch.arange(n) / n)).to(like) for n in self.geometry.shape)
        differences = d[:, None, None] + h[:, None] + w
        self._eigenvalues = (differences + differences**2) * spacing

    def zeros(self) -> Tensor:
        return torch.zeros(3, *self.geometry.shape, dtype=self._like.dtype, device=self._like.device)

    def matrices(self, lattice: Lattice) -> list[Tensor]:
        """Matrices that turn coefficients into the field at the voxels of `lattice`; transposed, the adjoint."""
        at = places(lattice, self.geometry, self._like)
        return [cubic_spline(x, n) for x, n in zip(at, self.geometry.shape)]

    def fit(self, field: Tensor, lattice: Lattice) -> Tensor:
        """Coefficients of the splines closest to a field (3, D, H, W) on a lattice at least as fine."""
        inverses = []
        for matrix in self.matrices(lattice):
            matrix = matrix.double()
            normal = matrix.T @ matrix + FIT * torch.eye(matrix.shape[1]).to(matrix)
            inverses.append(torch.linalg.solve(normal, matrix.T).to(field))
        return filter_axes(field, inverses)

    def roughness(self, coefficients: Tensor) -> float:
        """In mm^3, for coefficients in mm."""
        return 0.5 * float((coefficients * self.tension(coefficients)).sum())

    def tension(self, coefficients: Tensor) -> Tensor:
        """The gradient of the roughness."""
        return self._in_cosines(coefficients, self._eigenvalues)

    def damped(self, coefficients: Tensor, weight: float, stiffness: float) -> Tensor:
        """(weight + stiffness roughness'')^-1 times the coefficients."""
        return self._in_cosines(coefficients, 1 / (weight + stiffness * self._eigenvalues))

    def _in_cosines(self, coefficients: Tensor, factors: Tensor) -> Tensor:
        return filter_axes(factors * filter_axes(coefficients, self._cosines), transposed(self._cosines))
