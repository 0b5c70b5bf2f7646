"""A view of a C-arm between what a person types and the camera."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.camera.carm import positioner_rotation
from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.options import NEEDED, CArmOptions

FRONTAL = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
"""Rows: the directions of columns, rows and beam of a frontal view, RAS."""

SAME = 1e-6  # mm and degrees


def missing(options: CArmOptions) -> list[str]:
    """The names of the options that are needed and not given."""
    return [name for name in NEEDED if not getattr(options, name) > 0]


def camera_of(options: CArmOptions, size: tuple[int, int], center: Tensor, name: str = "The X-ray") -> Camera:
    """The camera for images of `size` (rows, columns); `center` (3,) RAS mm is the isocenter where none is given.

    Raises RegistrationError that names what is missing, with its DICOM tag, or contradicts itself.
    """
    for key in missing(options):
        what, tag = NEEDED[key]
        raise RegistrationError(f"{name} lacks {what}: type it in the C-arm section (in DICOM: {tag}).")
    if not options.isocenter_distance < options.distance:
        raise RegistrationError(
            f"{name} has its isocenter {options.isocenter_distance:g} mm from the source and the detector at "
            f"{options.distance:g} mm: the isocenter lies between them, correct one."
        )
    if len(options.isocenter) not in (0, 3):
        raise RegistrationError(f"{name} has {len(options.isocenter)} numbers as isocenter: give R, A and S, or none.")
    isocenter = torch.tensor(options.isocenter, dtype=torch.float64) if options.isocenter else center.double().cpu()
    across, down, beam = _axes(options)
    rows, columns = size
    pitch = (options.pixel_width, options.pixel_height or options.pixel_width)
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    foot = (options.principal_column, options.principal_row)
    offset = [(m - f) * p if f is not None else 0.0 for m, f, p in zip(middle, foot, pitch)]
    source = isocenter - options.isocenter_distance * beam
    center_of_image = source + options.distance * beam + offset[0] * across + offset[1] * down
    return Camera.from_detector(source, center_of_image, across, down, pitch, size)


def options_of(camera: Camera, isocenter: Tensor) -> CArmOptions:
    """What a person would type for a camera; `isocenter` (3,) RAS mm is taken to the nearest point of its axis.

    The isocenter is left out where the axis passes through it.
    """
    isocenter = isocenter.double().cpu()
    rotation = camera.pose[:3, :3].double().cpu()
    beam, source = rotation[:, 2], camera.source.cpu()
    across, down = (math.copysign(1.0, s) * rotation[:, k] for k, s in enumerate(camera.spacing))
    mirrored = bool(torch.linalg.cross(across, down) @ beam > 0)
    secondary = math.asin(max(-1.0, min(1.0, float(beam[2]))))
    primary = math.atan2(-float(beam[0]), float(beam[1]))
    upright = FRONTAL @ positioner_rotation(math.degrees(primary), math.degrees(secondary)).T
    unmirrored = -across if mirrored else across
    turn = math.degrees(math.atan2(-float(unmirrored @ upright[1]), float(unmirrored @ upright[0])))
    reach = float((isocenter - source) @ beam)
    foot = source + reach * beam
    centered = bool((foot - isocenter).norm() < 1e-3)
    columns, rows = camera.size[1], camera.size[0]
    off = [abs(c - (n - 1) / 2) > SAME for c, n in zip(camera.center, (columns, rows))]
    width, height = map(abs, camera.spacing)
    return CArmOptions(
        distance=camera.distance,
        isocenter_distance=reach,
        pixel_width=width,
        pixel_height=0.0 if math.isclose(width, height) else height,
        principal_column=camera.center[0] if off[0] else None,
        principal_row=camera.center[1] if off[1] else None,
        primary_angle=_plain(math.degrees(primary)),
        secondary_angle=_plain(math.degrees(secondary)),
        image_angle=_plain(-turn if mirrored else turn),
        mirrored=mirrored,
        isocenter=() if centered else tuple(foot.tolist()),
    )


def _axes(options: CArmOptions) -> tuple[Tensor, Tensor, Tensor]:
    """(3,) directions in which columns, rows and beam run, RAS."""
    across, down, beam = FRONTAL @ positioner_rotation(options.primary_angle, options.secondary_angle).T
    angle = math.radians(-options.image_angle if options.mirrored else options.image_angle)
    cosine, sine = math.cos(angle), math.sin(angle)
    across, down = cosine * across - sine * down, cosine * down + sine * across
    return (-across if options.mirrored else across), down, beam


def _plain(angle: float) -> float:
    """Rounded where that changes nothing that can be measured; no minus zero."""
    return round(angle, 9) + 0.0
