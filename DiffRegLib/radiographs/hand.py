"""What a drag on the X-ray does to the pose of the CT.

A pose is (4,4) float64, CT world to the camera's world in RAS mm. `center` (3,) is the middle of the volume, RAS mm in
the CT's own world; pixels are (column, row) of the image that `camera` takes. Nothing here changes its arguments, and
what is returned is rigid to rounding however many drags follow each other.

Right and down are those of the displayed image, row 0 at the top, whatever the sign of the camera's spacing. The near
side of the CT is the one toward a viewer for whom right is right and down is down: the source's side where the camera
has positive spacing, and the detector's side where one of its two spacings is negative, as with radiographs of
`c_arm`, which show the patient's right side on the left as if one stood before him.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.transforms.se3 import rotation_exp

NEAREST = 1.0  # mm from the source; nothing is pulled through it


def shifted(
    pose: Tensor, camera: Camera, center: Tensor, start_px: tuple[float, float], end_px: tuple[float, float]
) -> Tensor:
    """Moves the CT parallel to the detector so that the center's shadow goes as far as from start to end.

    A drag that starts on the shadow of the center takes it to its end exactly.
    """
    scale = _local(pose, camera, center)[2] / camera.distance
    start, end, pitch = torch.tensor((start_px, end_px, camera.spacing), dtype=torch.float64)
    way = camera.pose[:3, :2].double() @ ((end - start) * pitch * scale)
    return _moved(pose, center, torch.eye(3, dtype=torch.float64), way)


def turned(pose: Tensor, camera: Camera, center: Tensor, across_deg: float, down_deg: float) -> Tensor:
    """Turns the CT about its center as a ball under the hand: the near side goes right by one angle, down by the other.

    Both are one turn, by the length of (across, down) in degrees about the axis in the detector's plane that is
    perpendicular to the drag; the center stays where it is.
    """
    right, below = _displayed(camera)
    vector = math.radians(down_deg) * right - math.radians(across_deg) * below
    return _moved(pose, center, rotation_exp(vector), torch.zeros(3, dtype=torch.float64))


def spun(
    pose: Tensor, camera: Camera, center: Tensor, start_px: tuple[float, float], end_px: tuple[float, float]
) -> Tensor:
    """Turns the CT in the plane of the detector: what lies at the center's depth follows about the center's shadow.

    Nothing turns while the drag starts or ends on that shadow.
    """
    x, y, depth = _local(pose, camera, center).tolist()
    if depth == 0:
        return _rigid(pose)
    foot = torch.tensor([x, y], dtype=torch.float64) * camera.distance / depth  # mm on the detector
    middle, pitch = torch.tensor((camera.center, camera.spacing), dtype=torch.float64)
    ends = torch.tensor([start_px, end_px], dtype=torch.float64)
    (ax, ay), (bx, by) = ((ends - middle) * pitch - foot).tolist()
    angle = math.atan2(ax * by - ay * bx, ax * bx + ay * by)
    rotation = rotation_exp(angle * camera.pose[:3, 2].double())
    return _moved(pose, center, rotation, torch.zeros(3, dtype=torch.float64))


def deeper(pose: Tensor, camera: Camera, center: Tensor, mm: float) -> Tensor:
    """Moves the CT along the ray through its center by so many mm, away from the source; the center's shadow stays.

    Negative numbers bring it nearer, up to 1 mm before the source.
    """
    way = _place(pose, center) - camera.source
    length = float(way.norm())
    ray = way / length if length > 0 else camera.pose[:3, 2].double()
    farther = max(length + mm, NEAREST) - length
    return _moved(pose, center, torch.eye(3, dtype=torch.float64), farther * ray)


def _displayed(camera: Camera) -> list[Tensor]:
    """Unit vectors (3,) float64 in the world that point right and down in the displayed image."""
    return [math.copysign(1.0, pitch) * camera.pose[:3, n].double() for n, pitch in enumerate(camera.spacing)]


def _place(pose: Tensor, center: Tensor) -> Tensor:
    """Where the center is in the world of the camera, (3,) float64."""
    return pose[:3, :3].double() @ center.double() + pose[:3, 3].double()


def _local(pose: Tensor, camera: Camera, center: Tensor) -> Tensor:
    """The center's place in the camera's own axes, mm: along columns, along rows, depth."""
    return camera.pose[:3, :3].double().T @ (_place(pose, center) - camera.source)


def _moved(pose: Tensor, center: Tensor, rotation: Tensor, way: Tensor) -> Tensor:
    """The pose after a turn about the place of the center and a shift (3,) mm, both along the world's axes."""
    place = _place(pose, center) + way
    moved = _rigid(pose)
    moved[:3, :3] = _orthonormal(rotation @ moved[:3, :3])
    moved[:3, 3] = place - moved[:3, :3] @ center.double()
    return moved


def _rigid(pose: Tensor) -> Tensor:
    """A copy with the nearest rotation in it and 0, 0, 0, 1 below."""
    copy = torch.eye(4, dtype=torch.float64)
    copy[:3] = pose[:3].double()
    copy[:3, :3] = _orthonormal(copy[:3, :3])
    return copy


def _orthonormal(matrix: Tensor) -> Tensor:
    """The rotation (3,3) nearest to a matrix (Procrustes)."""
    left, _, right = torch.linalg.svd(matrix)
    return left @ right
