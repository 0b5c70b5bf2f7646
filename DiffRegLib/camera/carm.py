"""A C-arm about its isocenter: positioner angles, and several views with a known relation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from DiffRegLib.camera.pinhole import Camera
from DiffRegLib.errors import RegistrationError

AP, LATERAL = (0.0, 0.0), (90.0, 0.0)
"""Positioner angles (primary, secondary) of the frontal view and of the lateral one, detector on the patient's left."""

ADVICE = {
    "behind the X-ray source": ": correct the start pose or the geometry.",
    "beyond the detector": ": correct the start pose or the distances of the geometry.",
    "outside the beam": ", no part of it is seen: correct the start pose or the geometry.",
}
"""Where a CT may lie instead of in the beam, and what a person can do about it."""

SAME_ANGLE, SAME_PLACE = 1.0, 5.0  # degrees and mm below which two views show nothing that one does not


def c_arm(
    isocenter: Tensor | Sequence[float],
    distance: float,
    to_isocenter: float,
    spacing: tuple[float, float],
    size: tuple[int, int],
    angles: tuple[float, float] = AP,
    offset: tuple[float, float] = (0.0, 0.0),
) -> Camera:
    """The camera of a C-arm about a supine patient.

    isocenter: (3,) RAS mm. distance, to_isocenter: from the source to the detector and to the isocenter, mm.
    spacing: (column, row) mm at the detector; size: (rows, columns).
    angles: positioner's primary and secondary angle in degrees (DICOM (0018,1510) and (0018,1511)): where the detector
        is. 0, 0: anterior, the patient's head up and right side on the left of the image; primary 90: on the left of
        the patient (LAO); secondary positive: toward the head (cranial).
    offset: (column, row) mm from the foot of the optical axis to the middle of the image, on the detector.
    """
    if not 0 < to_isocenter < distance:
        raise RegistrationError(
            f"The isocenter is {to_isocenter} mm from the source and the detector {distance} mm: give a positive "
            "distance to the isocenter that is smaller than that to the detector."
        )
    rotation = positioner_rotation(*angles)
    center = torch.as_tensor(isocenter, dtype=torch.float64)
    frontal = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    right, down, beam = frontal @ rotation.T
    source = center - to_isocenter * beam
    middle = source + distance * beam + offset[0] * right + offset[1] * down
    return Camera.from_detector(source, middle, right, down, spacing, size)


def positioner_rotation(primary: float, secondary: float) -> Tensor:
    """(3,3) float64: turns the C-arm from the frontal view to these angles in degrees, about axes of the patient.

    First the secondary angle about the axis from left to right, then the primary one about the long axis.
    """
    a, b = math.radians(primary), math.radians(secondary)
    about_x = [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
    about_z = [[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]]
    return torch.tensor(about_z, dtype=torch.float64) @ torch.tensor(about_x, dtype=torch.float64)


def turned(camera: Camera, isocenter: Tensor, angles: tuple[float, float]) -> Camera:
    """A camera after its C-arm turned about the isocenter (3,) by positioner angles in degrees: AP to lateral."""
    center = torch.as_tensor(isocenter, dtype=torch.float64)
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, :3] = positioner_rotation(*angles)
    motion[:3, 3] = center - motion[:3, :3] @ center
    return camera.moved(motion)


def relation(first: Camera, second: Camera) -> tuple[float, float]:
    """The angle in degrees between two views' axes, and the distance in mm at which these pass each other."""
    a, b = first.pose[:3, 2].double(), second.pose[:3, 2].double()
    between = second.source - first.source
    normal = torch.linalg.cross(a, b)
    angle = math.degrees(math.atan2(normal.norm().item(), (a @ b).item()))
    if normal.norm() < 1e-9:
        return angle, torch.linalg.cross(between, a).norm().item()
    return angle, abs((between @ normal).item()) / normal.norm().item()


def misplaced(camera: Camera, points: Tensor) -> str:
    """Where the points (N,3), RAS mm, of the CT's body lie instead of in the beam: a key of `ADVICE`, or ""."""
    depth = camera.project(points.double())[1]
    if (depth > 0).double().mean() < 0.5:
        return "behind the X-ray source"
    if (depth < camera.distance).double().mean() < 0.5:
        return "beyond the detector"
    return "" if camera.sees(points.double()).any() else "outside the beam"


def check_view(camera: Camera, points: Tensor, name: str) -> None:
    """Raises RegistrationError where the camera does not look at the points (N,3), RAS mm, of the CT's body."""
    where = misplaced(camera, points)
    if where:
        raise RegistrationError(f"In {name} the CT lies {where}{ADVICE[where]}")


def check_views(cameras: Sequence[Camera], points: Tensor, names: Sequence[str]) -> None:
    """Raises RegistrationError where one view misses the points (N,3) RAS mm, or two views contradict each other.

    That is: both are taken from one place, or no part of the CT is seen by both.
    """
    for camera, name in zip(cameras, names):
        check_view(camera, points, name)
    for i, first in enumerate(cameras):
        for j in range(i):
            pair = f"{names[j]} and {names[i]}"
            apart = (first.source - cameras[j].source).norm().item()
            if relation(cameras[j], first)[0] < SAME_ANGLE and apart < SAME_PLACE:
                raise RegistrationError(
                    f"{pair} have the same geometry, though they are two views: give each its own, or one image."
                )
            if not (first.sees(points.double()) & cameras[j].sees(points.double())).any():
                raise RegistrationError(
                    f"The geometries of {pair} contradict each other, no part of the CT is seen by both: check that "
                    "both are in the same frame."
                )
