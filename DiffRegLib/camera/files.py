"""Geometry files: where source and detector are, as JSON, about the isocenter of a C-arm or in the CT's world.

    {"isocentre_ct_mm": [x, y, z], "source_detector_mm": 1020.0, "pixel_mm": {"256": 1.46}, "field_mm": 373.76,
     "source_carm_minus_iso": [0, -620, 0], "detector_centre_carm_minus_iso": [0, 400, 0],
     "u_column_direction": [-1, 0, 0], "v_row_direction": [0, 0, -1]}

All vectors are RAS mm, u and v the directions in which columns and rows run. The pixel pitch follows from `pixel_mm`
(by number of columns, or one value, or [column, row]) or from the field's width. `size_px` [rows, columns] is that of
the whole image: one that was cropped is refused. A pose of the patient stands beside it as `M` (4x4, X_carm = M X_ct)
or `params` (rx ry rz tx ty tz about the isocenter); alternatively `source_ct`, `detector_centre_ct`, `u_ct` and `v_ct`
place the C-arm in the CT's world, or `projection_matrix` does (3x4, RAS mm of the CT to column and row of an image of
`size_px`, pixels counted from 0 at their centers) with `source_detector_mm` or `pixel_mm`. `positioner_angles_deg`
turns the C-arm about the isocenter. Several views are a list `views` of such objects, which inherit what stands beside
it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.camera.carm import turned
from DiffRegLib.camera.matrices import from_projection_matrix
from DiffRegLib.camera.pinhole import Camera
from DiffRegLib.camera.views import ANGLES, CARM, CT, MATRIX, read_views
from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import RIGID, rigid_error

SMALLEST_CUT = 1.5  # pixels by which a resized image may be off the shape of the whole one
AGREEMENT = 1e-3  # relative for distances; mm and radians for poses
UNEQUAL = 0.02  # relative, for pixels and the width of the field: both are rounded


@dataclass(frozen=True)
class Placement:
    """One view of a geometry file.

    camera: in the C-arm's world, which is the CT's world while the pose is the identity.
    pose: (4,4) float64 where the patient is moved, X_carm = pose X_ct in RAS mm, or None where the file has none.
    isocenter: (3,) RAS mm in the C-arm's world, or None where the file has none.
    """

    camera: Camera
    pose: Tensor | None
    isocenter: Tensor | None


def read_geometry(path: str | Path, sizes: Sequence[tuple[int, int]]) -> list[Placement]:
    """The views of a file for images of these sizes (rows, columns); one view serves several images only by name.

    Raises RegistrationError that names the file and what is missing or contradicts itself.
    """
    views = read_views(path, len(sizes))
    return [_placement(view, size, str(path)) for view, size in zip(views, sizes)]


def write_geometry(path: str | Path, cameras: Sequence[Camera], isocenter: Tensor) -> None:
    """Writes cameras (in the C-arm's world) about an isocenter (3,) RAS mm in the form that `read_geometry` reads."""
    views = [_described(camera, torch.as_tensor(isocenter, dtype=torch.float64)) for camera in cameras]
    shared = {"isocentre_ct_mm": torch.as_tensor(isocenter, dtype=torch.float64).tolist()}
    content = {**shared, **views[0]} if len(views) == 1 else {**shared, "views": views}
    Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _described(camera: Camera, isocenter: Tensor) -> dict[str, Any]:
    rows, columns = camera.size
    middle = camera.detector_points(torch.tensor([(columns - 1) / 2, (rows - 1) / 2]))
    sign = -1.0 if camera.spacing[0] < 0 else 1.0, -1.0 if camera.spacing[1] < 0 else 1.0
    values = (camera.source - isocenter, middle - isocenter, sign[0] * camera.pose[:3, 0], sign[1] * camera.pose[:3, 1])
    pitch = [abs(s) for s in camera.spacing]
    return {
        "source_detector_mm": camera.distance,
        "size_px": [rows, columns],
        "pixel_mm": {str(columns): pitch[0] if pitch[0] == pitch[1] else pitch},
        "field_mm": columns * pitch[0],
        **{key: value.tolist() for key, value in zip(CARM, values)},
    }


def _placement(view: dict[str, Any], size: tuple[int, int], name: str) -> Placement:
    isocenter = _vector(view, "isocentre_ct_mm", name) if "isocentre_ct_mm" in view else None
    pose = _pose(view, isocenter, name)
    resting = _resting(view, isocenter, size, name) if CARM[0] in view else None
    seen = _calibrated(view, isocenter, size, name) if MATRIX in view else None
    if CT[0] in view:
        seen = _camera([_vector(view, key, name) for key in CT], view, size, name)
    if seen is None:
        if resting is None:
            raise RegistrationError(f"{name} does not place the source: give {CARM[0]} or {CT[0]} in mm, or {MATRIX}.")
        return Placement(resting, pose, isocenter)
    if resting is None:
        return Placement(seen if pose is None else seen.moved(pose), pose, isocenter)
    between = resting.pose @ torch.linalg.inv(seen.pose)
    if pose is not None and not _same(between, pose):
        raise RegistrationError(f"{name} contradicts itself: {CT[0]} and the pose M do not fit, remove one of them.")
    return Placement(resting, between, isocenter)


def _resting(view: dict[str, Any], isocenter: Tensor | None, size: tuple[int, int], name: str) -> Camera:
    if isocenter is None:
        raise RegistrationError(f"{name} lacks isocentre_ct_mm: give the isocenter in the CT's world, RAS mm.")
    source, middle, right, down = (_vector(view, key, name) for key in CARM)
    camera = _camera([isocenter + source, isocenter + middle, right, down], view, size, name)
    if ANGLES in view:
        primary, secondary = _numbers(view, ANGLES, 2, name).tolist()
        camera = turned(camera, isocenter, (primary, secondary))
    return camera


def _camera(parts: list[Tensor], view: dict[str, Any], size: tuple[int, int], name: str) -> Camera:
    """parts: source, middle of the image, directions of columns and rows, (3,) each."""
    source, middle, right, down = parts
    pitch = _pitch(view, size, name)
    try:
        camera = Camera.from_detector(source, middle, right, down, pitch, size)
    except RegistrationError as error:
        raise RegistrationError(f"{name}: {error}") from None
    stated = _numbers(view, "source_detector_mm", 1, name)[0].item() if "source_detector_mm" in view else None
    if stated is not None and abs(stated - camera.distance) > AGREEMENT * camera.distance:
        raise RegistrationError(
            f"{name} contradicts itself: source_detector_mm is {stated}, but source and detector are "
            f"{camera.distance:.2f} mm apart; correct one of them."
        )
    return camera


def _calibrated(view: dict[str, Any], isocenter: Tensor | None, size: tuple[int, int], name: str) -> Camera:
    """The camera of a projection matrix, for an image that may have been resized."""
    _check_size(view, size, name)
    rows, columns = (int(n) for n in _numbers({"size_px": list(size), **view}, "size_px", 2, name).tolist())
    matrix = _numbers(view, MATRIX, 12, name).reshape(3, 4)
    distance = _numbers(view, "source_detector_mm", 1, name)[0].item() if "source_detector_mm" in view else None
    pitch = _pitch(view, (rows, columns), name) if distance is None else None
    try:
        camera = from_projection_matrix(matrix, (rows, columns), distance, pitch, isocenter)
    except RegistrationError as error:
        raise RegistrationError(f"{name}: {error}") from None
    return replace(camera.resized(columns / size[1]), size=size) if columns != size[1] else camera


def _check_size(view: dict[str, Any], size: tuple[int, int], name: str) -> None:
    """Raises where an image is neither the detector's nor a resized one of it: it was cropped after acquisition."""
    if "size_px" not in view:
        return
    rows, columns = _numbers(view, "size_px", 2, name).tolist()
    if abs(size[0] * columns - size[1] * rows) > SMALLEST_CUT * max(rows, columns):
        raise RegistrationError(
            f"{name} is the geometry of an image of {columns:g} x {rows:g} pixels, and the X-ray has {size[1]} x "
            f"{size[0]}, so it was cropped: give the whole image, or the geometry of the part.",
            path=name,
        )


def _pitch(view: dict[str, Any], size: tuple[int, int], name: str) -> tuple[float, float]:
    """(column, row) in mm."""
    _check_size(view, size, name)
    pixel = view.get("pixel_mm")
    if isinstance(pixel, dict):
        pixel = pixel.get(str(size[1])) or _binned(view, pixel, size, name)
    if pixel is None and "field_mm" in view:
        pixel = _numbers(view, "field_mm", 1, name)[0].item() / size[1]
    if pixel is None:
        raise RegistrationError(
            f"{name} has no pixel spacing for images of {size[1]} columns: give pixel_mm or field_mm (in DICOM: "
            "ImagerPixelSpacing (0018,1164))."
        )
    pair = _numbers({"pixel_mm": pixel if isinstance(pixel, list) else [pixel, pixel]}, "pixel_mm", 2, name)
    column, row = pair.tolist()
    if not min(column, row) > 0:
        raise RegistrationError(
            f"{name} has pixels of {column:g} x {row:g} mm: give positive ones, {CARM[2]} and {CARM[3]} say where "
            "columns and rows run.",
            path=name,
        )
    field = _numbers(view, "field_mm", 1, name)[0].item() if "field_mm" in view else column * size[1]
    if abs(field / size[1] - column) > UNEQUAL * column:
        raise RegistrationError(
            f"{name} contradicts itself: pixel_mm is {column:g}, but field_mm makes {field / size[1]:g} of {size[1]} "
            "columns; correct one of them.",
            path=name,
        )
    return column, row


def _binned(view: dict[str, Any], pixel: dict[str, Any], size: tuple[int, int], name: str) -> Any:
    """The pitch of a whole image that was resized, from the one that the file has, or None where it does not say."""
    if "size_px" not in view or "field_mm" in view:
        return None
    columns = _numbers(view, "size_px", 2, name)[1].item()
    stated = pixel.get(str(int(columns)))
    if stated is None:
        return None
    pair = stated if isinstance(stated, list) else [stated, stated]
    return [value * columns / size[1] for value in pair]


def _pose(view: dict[str, Any], isocenter: Tensor | None, name: str) -> Tensor | None:
    matrix = _rigid(_numbers(view, "M", 16, name).reshape(4, 4), name) if "M" in view else None
    if "params" not in view:
        return matrix
    params = _numbers(view, "params", 6, name)
    if isocenter is None:
        raise RegistrationError(f"{name} lacks isocentre_ct_mm, about which params turn: give it in RAS mm.")
    import roma  # here, for it brings torch's compiler with it: a second at every start

    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = roma.euler_to_rotmat("xyz", params[:3], degrees=True)  # Rz Ry Rx, as `transforms.rigid`
    pose[:3, 3] = isocenter + params[3:] - pose[:3, :3] @ isocenter
    if matrix is not None and not _same(pose, matrix):
        raise RegistrationError(f"{name} contradicts itself: the pose M and params do not fit, remove one.", path=name)
    return pose if matrix is None else matrix


def _same(first: Tensor, second: Tensor) -> bool:
    """Whether two poses (4,4) are one."""
    return torch.allclose(first, second, atol=max(1.0, float(second[:3, 3].abs().max())) * AGREEMENT)


def _rigid(matrix: Tensor, name: str) -> Tensor:
    """The pose, or a sentence that says why a matrix (4,4) is none."""
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    if (matrix[3] - last).abs().max() > RIGID:
        hint = ", it seems to be transposed" if (matrix[:, 3] - last).abs().max() <= RIGID else ""
        raise RegistrationError(
            f"{name} has a pose M whose last row is not 0 0 0 1{hint}: write it row by row, translation in the last "
            "column.",
            path=name,
        )
    if rigid_error(matrix) > RIGID:
        raise RegistrationError(
            f"{name} has a pose M that stretches, shears or mirrors: give one of rotation and translation.", path=name
        )
    return matrix


def _vector(view: dict[str, Any], key: str, name: str) -> Tensor:
    return _numbers(view, key, 3, name)


def _numbers(view: dict[str, Any], key: str, count: int, name: str) -> Tensor:
    if key not in view:
        raise RegistrationError(f"{name} lacks {key}: add it, in RAS mm.")
    try:
        values = torch.as_tensor(view[key], dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        values = torch.empty(0)
    if len(values) != count or not values.isfinite().all():
        raise RegistrationError(f"{name} has {view[key]} as {key}: give {count} finite number{'s' * (count > 1)}.")
    return values
