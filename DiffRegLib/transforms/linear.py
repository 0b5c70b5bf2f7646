"""Affine and rigid transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.transforms.base import Transform

if TYPE_CHECKING:
    from jaxtyping import Float


class Affine(Transform):
    """x -> A x + t, given as the (4, 4) matrix in RAS mm; raises `RegistrationError` when it is singular."""

    def __init__(self, matrix: Float[Tensor, "4 4"]) -> None:
        self.matrix = torch.as_tensor(matrix, dtype=torch.float64)
        if self.matrix.shape != (4, 4) or not self.matrix.isfinite().all():
            raise RegistrationError("An affine transform needs a finite 4 x 4 matrix: correct it.")
        if abs(torch.linalg.det(self.matrix[:3, :3].detach())) < 1e-9:
            raise RegistrationError("The matrix of the affine transform is singular, it flattens space: correct it.")

    @classmethod
    def identity(cls) -> Affine:
        return cls(torch.eye(4, dtype=torch.float64))

    @classmethod
    def translation(cls, offset: Tensor) -> Affine:
        """x -> x + offset, (3,) mm."""
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, 3] = torch.as_tensor(offset, dtype=torch.float64)
        return cls(matrix)

    def __call__(self, points: Tensor) -> Tensor:
        matrix = self.matrix.to(points)
        return torch.nn.functional.linear(points, matrix[:3, :3], matrix[:3, 3])

    def __matmul__(self, inner: Transform) -> Transform:
        if isinstance(inner, Affine):
            return Affine(self.matrix @ inner.matrix)
        return super().__matmul__(inner)

    def to(self, device: torch.device | str) -> Affine:
        return Affine(self.matrix.to(device))

    def inverse(self, geometry: Geometry | None = None) -> Affine:
        return Affine(torch.linalg.inv(self.matrix))


def rotation_matrix(angles: Float[Tensor, 3] | Sequence[float]) -> Float[Tensor, "3 3"]:
    """(3, 3) R = Rz(rz) Ry(ry) Rx(rx), right-handed, from (rx, ry, rz) in degrees; differentiable."""
    radians = torch.as_tensor(angles, dtype=torch.float64).deg2rad()
    (cx, cy, cz), (sx, sy, sz) = radians.cos(), radians.sin()
    rows = (
        torch.stack((cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx)),
        torch.stack((sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx)),
        torch.stack((-sy, cy * sx, cy * cx)),
    )
    return torch.stack(rows)


def rigid(
    angles: Float[Tensor, 3] | Sequence[float],
    translation: Float[Tensor, 3] | Sequence[float],
    center: Float[Tensor, 3] | None = None,
) -> Affine:
    """x -> c + R (x - c) + t with R of `rotation_matrix` (degrees), t and c (3,) in mm; c is the origin by default."""
    rotation = rotation_matrix(angles)
    center = torch.zeros(3, dtype=torch.float64) if center is None else torch.as_tensor(center, dtype=torch.float64)
    offset = center + torch.as_tensor(translation, dtype=torch.float64) - rotation @ center
    top = torch.cat((rotation, offset[:, None]), 1)
    return Affine(torch.cat((top, torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64))))


def rigid_parameters(
    transform: Affine, center: Float[Tensor, 3] | None = None
) -> tuple[Float[Tensor, 3], Float[Tensor, 3]]:
    """Degrees (rx, ry, rz) and translation (3,) mm about `center` of a rigid transform: the inverse of `rigid`."""
    r = transform.matrix[:3, :3]
    center = torch.zeros(3, dtype=torch.float64) if center is None else torch.as_tensor(center, dtype=torch.float64)
    ry = torch.asin((-r[2, 0]).clamp(-1, 1))
    if abs(r[2, 0]) < 1 - 1e-9:
        rx, rz = torch.atan2(r[2, 1], r[2, 2]), torch.atan2(r[1, 0], r[0, 0])
    else:  # gimbal lock: rx and rz turn about the same axis, rx takes all of it
        rx, rz = torch.atan2(-r[1, 2], r[1, 1]), torch.zeros_like(ry)
    return torch.rad2deg(torch.stack((rx, ry, rz))), transform(center) - center
