"""Cameras from calibration: a (3,4) projection matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.camera.pinhole import Camera
from DiffRegLib.errors import RegistrationError

if TYPE_CHECKING:
    from jaxtyping import Float

SKEW = 1e-3  # of the focal length: beyond it the detector's axes are not perpendicular
DISAGREEMENT = 0.01  # between the distances that the focal lengths along columns and rows stand for


def from_projection_matrix(
    matrix: Float[Tensor, "3 4"],
    size: tuple[int, int],
    distance: float | None = None,
    spacing: tuple[float, float] | None = None,
    before: Float[Tensor, 3] | None = None,
) -> Camera:
    """A camera from P (3,4), RAS mm to homogeneous (column, row) in pixels, pixel centers at whole numbers.

    P may have any scale. Its sign is taken so that the third coordinate is positive before the source, or, where
    `before` (3,) RAS mm is given, so that this point (such as the CT's center) lies before the source: P alone cannot
    tell a camera from its mirror image behind the source. It fixes the ratio of distance and spacing alone: give
    one of them, `distance` source to detector in mm or `spacing` (column, row) in mm. size: (rows, columns).
    Raises RegistrationError for a matrix that is skewed or singular, and where focal lengths contradict the spacing.
    Hartley and Zisserman, Multiple view geometry, 2004, sec. 6.2.
    """
    p = torch.as_tensor(matrix, dtype=torch.float64)
    if p.shape != (3, 4) or not p.isfinite().all():
        raise RegistrationError("The projection matrix is not a finite (3, 4) matrix: correct it.")
    if before is not None and p[2, :3] @ torch.as_tensor(before, dtype=torch.float64) + p[2, 3] < 0:
        p = -p
    scale = p[2, :3].norm()
    p = p / scale if scale > 0 else p
    if not scale > 0 or torch.linalg.cond(p[:, :3]) > 1e12:
        raise RegistrationError("The projection matrix has no finite source point: it is singular or a parallel beam.")
    z = p[2, :3]
    row = p[1, :3] @ z
    y = p[1, :3] - row * z
    y_focal = y.norm()
    y = y / y_focal
    x = torch.linalg.cross(y, z)
    k = torch.stack((torch.stack((p[0, :3] @ x, p[0, :3] @ y, p[0, :3] @ z)), torch.stack((0 * row, y_focal, row))))
    k = torch.cat((k, torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)))
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3] = torch.stack((x, y, z, -torch.linalg.solve(p[:, :3], p[:, 3])), 1)
    return _assembled(k, pose, size, distance, spacing)


def _assembled(
    k: Tensor,
    pose: Tensor,
    size: tuple[int, int],
    distance: float | None,
    spacing: tuple[float, float] | None,
) -> Camera:
    focal = (k[0, 0].item(), k[1, 1].item())
    if 0 in focal or abs(k[0, 1].item()) > SKEW * abs(focal[0]):
        raise RegistrationError("The calibration has a skew or no focal length: rectify the image.")
    if (distance is None) == (spacing is None):
        raise RegistrationError(
            "A calibration in pixels needs either the distance from source to detector or the pixel spacing in mm: "
            "give one of them."
        )
    if spacing is not None:
        distances = [abs(f * s) for f, s in zip(focal, spacing)]
        distance = sum(distances) / 2
        if abs(distances[0] - distances[1]) > DISAGREEMENT * distance:
            raise RegistrationError(
                f"The calibration and the pixel spacing put the detector at {distances[0]:.1f} mm along the columns "
                f"and {distances[1]:.1f} mm along the rows: correct the spacing."
            )
    assert distance is not None  # one of the two was given
    principal = (k[0, 2].item(), k[1, 2].item())
    return Camera(float(distance), (distance / focal[0], distance / focal[1]), (size[0], size[1]), pose, principal)
