"""Where a pose estimation begins: the CT, its X-rays with their cameras, and the start pose, from the opened inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.camera import Camera, c_arm, check_views, from_dicom, read_geometry, table_moves
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_transform
from DiffRegLib.files.tables import read_columns
from DiffRegLib.geometry import RIGID, rigid_error
from DiffRegLib.image import Image
from DiffRegLib.points.listed import PointList, paired
from DiffRegLib.radiographs.attenuation import body_points, check_hounsfield, chosen, keep_only
from DiffRegLib.radiographs.landmarks import pose_from_landmarks
from DiffRegLib.radiographs.options import CameraOptions, ImagingOptions, VolumeOptions
from DiffRegLib.radiographs.radiograph import Polarity, Radiograph, prepare
from DiffRegLib.radiographs.xray import XRay, read_xray
from DiffRegLib.transforms import Affine, Composite, Transform, rigid

SAME_POSE = 1e-2  # mm, and the same for entries of the rotation times 100


@dataclass(frozen=True, eq=False)
class PoseInput:
    """What `register` takes; `ct` in HU with what is not projected as air, `note` on the origin of the start pose.

    organ: (1, D, H, W), 1 in what the mask keeps, or None without a mask.
    """

    ct: Image
    xrays: tuple[Radiograph, ...]
    start: Affine
    note: str
    organ: Tensor | None = None


def read_input(
    inputs: Mapping[str, Any], imaging: ImagingOptions, numbers: Sequence[float], polarity: Polarity = "auto"
) -> PoseInput:
    """Reads and checks everything; raises RegistrationError before any long work.

    inputs: opened, by role. numbers: the start pose as six numbers, see `pose_of`, or none. polarity: of the X-rays as
    they are shown.
    """
    mask = inputs["mask"].content if "mask" in inputs else None
    ct = read_ct(inputs["ct"].content, inputs["ct"].path, mask, imaging)
    read = [read_xray(xray.path, imaging.frame) for xray in inputs["xray"]]
    cameras, placed = read_cameras([geometry.path for geometry in inputs["geometry"]], read, ct)
    start, note = _start(inputs, numbers, ct, cameras[0], placed)
    points = start(body_points(ct))
    check_views(cameras, points, [xray.name for xray in read])
    xrays = tuple(prepare(xray, camera, imaging.line_integrals, polarity) for xray, camera in zip(read, cameras))
    organ = chosen(ct, mask, imaging.labels) if mask is not None else None
    return PoseInput(ct, xrays, start, note, organ)


def read_ct(ct: Image, name: str, mask: Image | None, kept: VolumeOptions) -> Image:
    """The CT in HU, what is not to be projected as air; name: what errors call it."""
    check_hounsfield(ct, name)
    return keep_only(ct, mask, kept.labels, kept.bone_threshold)


def read_cameras(geometries: Sequence[str], read: Sequence[XRay], ct: Image) -> tuple[list[Camera], Tensor | None]:
    """The cameras of the X-rays, and the pose (4,4) of the patient where the geometry files have one.

    One file may describe all views; without a file the DICOM tags do, about the center of the CT, which the table may
    have carried on between two views.
    """
    if not geometries:
        moves = table_moves([xray.tags for xray in read], [xray.name for xray in read])
        return [from_dicom(x.tags, x.size, ct.center - move, x.name) for x, move in zip(read, moves)], None
    if len(geometries) == 1:
        placements = read_geometry(geometries[0], [xray.size for xray in read])
    elif len(geometries) == len(read):
        placements = [read_geometry(path, [xray.size])[0] for path, xray in zip(geometries, read)]
    else:
        raise RegistrationError(
            f"There are {len(geometries)} geometries for {len(read)} X-rays: give one for all, or one for each."
        )
    poses = [p.pose for p in placements]
    given = [p for p in poses if p is not None]
    for pose in given[1:]:
        apart = (given[0] - pose).abs()
        if len(given) != len(poses) or max(100 * apart[:3, :3].max(), apart[:3, 3].max()) > SAME_POSE:
            raise RegistrationError(
                f"The geometries of {read[0].name} and the other views contradict each other, they pose the patient "
                "differently: write all of them for one pose."
            )
    return [p.camera for p in placements], given[0] if given else None


def view_camera(path: str | None, view: CameraOptions, center: Tensor) -> tuple[Camera, Tensor | None]:
    """The camera of a geometry file, with the pose (4,4) that it has, if any; without a file that of the options.

    center: (3,) RAS mm of the CT, about which the C-arm of the options stands.
    """
    size = (view.size, view.size)
    if path:
        placement = read_geometry(path, [size])[0]
        return placement.camera, placement.pose
    pitch, angles = view.field / view.size, (view.primary_angle, view.secondary_angle)
    return c_arm(center, view.distance, view.isocenter_distance, (pitch, pitch), size, angles), None


def _start(
    inputs: Mapping[str, Any], numbers: Sequence[float], ct: Image, camera: Camera, placed: Tensor | None
) -> tuple[Affine, str]:
    file, landmarks = inputs.get("start"), inputs.get("landmarks")
    if sum((file is not None, bool(numbers), landmarks is not None)) > 1:
        raise RegistrationError(
            "The start pose is given twice: give {start}, or {landmarks} with {clicks}.",
            option=("start", "landmarks", "clicks"),
        )
    if file is not None:
        return rigid_of(file.content, file.path), f"start from {Path(file.path).name}"
    if numbers:
        return pose_of(numbers, ct), "start from six numbers"
    if landmarks is not None:
        if "clicks" not in inputs:
            raise RegistrationError(
                "Landmarks need clicks: give {clicks}, a table of column and row for each of them.", option="clicks"
            )
        points, clicks = _clicked(landmarks.content, inputs["clicks"].path)
        found = pose_from_landmarks(points, clicks, camera)
        twin = ", another pose fits nearly as well" if found.ambiguous else ""
        return found.pose, f"start from landmarks, {found.rms:.1f} px rms{twin}"
    if placed is not None:
        return checked_rigid(placed, "The pose of the geometry file"), "start from the geometry file"
    return Affine.identity(), "start where CT and C-arm share their world"


def _clicked(landmarks: PointList, path: str) -> tuple[Tensor, Tensor]:
    """Landmarks (N, 3) RAS mm and where they are seen (N, 2) column and row: matched by name, else row by row."""
    clicks, names = read_columns(path, ("column", "row"), "column, row in pixels")
    flat = PointList(torch.from_numpy(np.column_stack((clicks, np.zeros(len(clicks))))), names)
    pairs = paired(landmarks, flat, ("The landmark file", path))
    return pairs.fixed, pairs.moving[:, :2]


def pose_of(numbers: Sequence[float], ct: Image) -> Affine:
    """rx ry rz tx ty tz in degrees and mm about the center of the CT: X_carm = c + R (X_ct - c) + t."""
    if len(numbers) != 6 or not torch.tensor(numbers, dtype=torch.float64).isfinite().all():
        raise RegistrationError(f"The start pose is {numbers}: give a .tfm file or six finite numbers.")
    values = torch.tensor(numbers, dtype=torch.float64)
    return rigid(values[:3], values[3:], ct.center)


def read_rigid(path: str) -> Affine:
    """The rigid transform of a file, CT world to C-arm world."""
    return rigid_of(read_transform(path), path)


def rigid_of(transform: Transform, name: str) -> Affine:
    """A transform as the rigid one that it is; raises RegistrationError where it is none."""
    parts = transform.transforms if isinstance(transform, Composite) else (transform,)
    if not all(isinstance(part, Affine) for part in parts):
        raise RegistrationError(f"{name} is no rigid transform: give one of rotation and translation.", path=name)
    matrix = torch.eye(4, dtype=torch.float64)
    for part in parts:
        matrix = matrix @ part.matrix
    return checked_rigid(matrix, name)


def checked_rigid(matrix: Tensor, name: str) -> Affine:
    """Raises RegistrationError where a matrix (4,4) stretches, shears or mirrors."""
    if rigid_error(matrix) > RIGID:
        raise RegistrationError(f"{name} is not rigid, it stretches, shears or mirrors: give rotation and translation.")
    return Affine(matrix)


def read_rows(path: str, count: int, what: str) -> Tensor:
    """(N, count) float64 of a .csv of `what`, a heading is allowed; raises RegistrationError that names the file."""
    rows = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise RegistrationError(f"{path} cannot be read as text: give a .csv of {what}, one a line.") from None
    for n, line in enumerate(filter(str.strip, lines)):
        try:
            rows.append([float(cell) for cell in line.split(",")])
        except ValueError:
            if n:
                raise RegistrationError(f"{path} has the line {line!r}: give numbers {what}.") from None
    if not rows or any(len(row) != count for row in rows):
        raise RegistrationError(f"{path} does not hold {count} numbers a line: give {what}.")
    return torch.tensor(rows, dtype=torch.float64)
