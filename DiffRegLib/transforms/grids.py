"""Transforms by other numbers on a grid than displacements: stationary velocity field, cubic B-spline."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms.base import DisplacementField, GridTransform


class VelocityField(GridTransform):
    """The flow of a stationary velocity field v (3, D, H, W) in mm per unit time over unit time: phi = exp(v)."""

    STEPS = 16

    def __call__(self, points: Tensor) -> Tensor:
        """Integrates each point by fourth-order Runge-Kutta."""
        h = 1 / self.STEPS
        for _ in range(self.STEPS):
            a = self._vectors(points)
            b = self._vectors(points + h / 2 * a)
            c = self._vectors(points + h / 2 * b)
            d = self._vectors(points + h * c)
            points = points + h / 6 * (a + 2 * b + 2 * c + d)
        return points

    def inverse(self, geometry: Geometry | None = None) -> VelocityField:
        """exp(v)^-1 = exp(-v)."""
        return VelocityField(Image(-self.image.data, self.image.affine))

    def exponentiate(self, squarings: int = 7) -> DisplacementField:
        """Scaling and squaring on the field's own grid, differentiable in v (Arsigny et al., MICCAI 2006)."""
        field = self.image.data / 2**squarings
        grid = self.image.grid(self.image.device)
        for _ in range(squarings):
            step = Image(field, self.image.affine)
            field = field + step.sample(grid + field.movedim(0, -1), outside="border")
        return DisplacementField(Image(field, self.image.affine))


class BSpline(GridTransform):
    """x -> x + sum of cubic B-splines times coefficients (3, D, H, W) in mm at the control points of `image`'s grid.

    Inside the valid domain, control index 1 to n - 2, it is ITK's BSplineTransform of order 3; beyond it the
    displacement fades to zero within two control spacings, where ITK cuts it off.
    Rueckert et al., Nonrigid registration using free-form deformations, TMI 1999.
    """

    def __call__(self, points: Tensor) -> Tensor:
        data = self.image.data
        index = self.image.to_voxel(points).to(data.device)
        base = index.detach().floor()
        weights = _cubic_weights(index - base)
        base = base.long() - 1
        size = torch.tensor(data.shape[:0:-1], device=data.device)
        flat = data.reshape(3, -1).T.to(points.dtype)
        total = torch.zeros_like(points)
        for dk in range(4):
            for dj in range(4):
                for di in range(4):
                    node = base + torch.tensor([di, dj, dk], device=data.device)
                    inside = ((node >= 0) & (node < size)).all(-1)
                    i, j, k = torch.minimum(node.clamp(min=0), size - 1).unbind(-1)
                    weight = weights[..., 0, di] * weights[..., 1, dj] * weights[..., 2, dk] * inside
                    total = total + weight[..., None] * flat[(k * size[1] + j) * size[0] + i]
        return points + total

    def default_geometry(self) -> Geometry:
        return self.image.geometry.resized(float(self.image.spacing.min()) / 3)


def _cubic_weights(t: Tensor) -> Tensor:
    """(..., 4) weights of the control points floor - 1 ... floor + 2 at the fraction t in [0, 1)."""
    return torch.stack(((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3), -1) / 6
