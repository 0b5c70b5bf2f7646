"""The camera of an X-ray from its DICOM tags (XA, DX, RF)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from DiffRegLib.camera.carm import c_arm
from DiffRegLib.camera.pinhole import Camera
from DiffRegLib.errors import RegistrationError

TAGS = {
    "DistanceSourceToDetector": "0018|1110",
    "DistanceSourceToPatient": "0018|1111",
    "EstimatedRadiographicMagnificationFactor": "0018|1114",
    "ImagerPixelSpacing": "0018|1164",
    "PositionerPrimaryAngle": "0018|1510",
    "PositionerSecondaryAngle": "0018|1511",
    "ViewPosition": "0018|5101",
    "FieldOfViewRotation": "0018|7032",
    "FieldOfViewHorizontalFlip": "0018|7034",
    "DistanceSourceToIsocenter": "0018|9402",
    "PatientOrientation": "0020|0020",
}

NEEDED = (
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "ImagerPixelSpacing",
    "PositionerPrimaryAngle",
    "PositionerSecondaryAngle",
)

POSITIONS = {"PA": (0.0, 0.0), "AP": (180.0, 0.0), "LL": (90.0, 0.0), "RL": (-90.0, 0.0)}
"""Where the detector is (positioner angles) for a named projection, where the file has no angles."""

DIRECTIONS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "H": (2, 1), "F": (2, -1)}
"""Letters of the tag PatientOrientation: axis of RAS and sign."""

USUAL = ["L", "F"]
"""PatientOrientation of a frontal view as it is displayed: columns run to the patient's left, rows to the feet."""

MAGNIFICATION = "EstimatedRadiographicMagnificationFactor"
UNEQUAL = 0.12
"""Share by which distances from the source to the patient may differ: DX files state that to the table."""

FARTHEST = 60.0
"""Degrees by which an angle may be off a named projection, as in oblique ones."""

LEAST_AGREEMENT = 0.3
"""Cosine between a stated direction and that of columns or rows: letters name the nearest axis, 45 degrees off at most,
and the C-arm may lean in the other angle too."""


def from_dicom(
    tags: Mapping[str, str], size: tuple[int, int], isocenter: Tensor | Sequence[float], name: str = "The X-ray"
) -> Camera:
    """The camera that DICOM tags describe, about an isocenter (3,) RAS mm, which DICOM does not know.

    tags: "gggg|eeee" -> value, as SimpleITK gives them; size: (rows, columns).
    The image lies as PatientOrientation says, in all its letters. Without it that of a C-arm lies as its detector sees
    the patient, turned and flipped as FieldOfViewRotation and FieldOfViewHorizontalFlip say, and one with a named
    projection (ViewPosition) is displayed as usual, the patient's head up and right side on the left. In DX files
    DistanceSourceToPatient ends at the table: a start, no truth.
    Raises RegistrationError that names every tag that is missing, and for tags that contradict each other.
    """
    found = {key: values for key, tag in TAGS.items() if (values := _values(tags.get(tag, "")))}
    view = POSITIONS.get("".join(found.get("ViewPosition", ())).upper())
    named = view is not None and "PositionerPrimaryAngle" not in found
    if view is not None:
        found.setdefault("PositionerPrimaryAngle", [str(view[0])])
        found.setdefault("PositionerSecondaryAngle", [str(view[1])])
    missing = [key for key in NEEDED if key not in found]
    if any(key in found for key in ("DistanceSourceToIsocenter", MAGNIFICATION)):
        missing = [key for key in missing if key != "DistanceSourceToPatient"]
    if missing:
        lacking = ", ".join(f"{key} ({TAGS[key].replace('|', ',')})" for key in missing)
        raise RegistrationError(
            f"{name} does not say how it was taken, these DICOM tags are missing: {lacking}; give its geometry "
            "with {geometry}.",
            option="geometry",
            path=name,
        )
    distance, primary, secondary = (_number(found, key, name) for key in (NEEDED[0], *NEEDED[3:]))
    if view is not None and abs((primary - view[0] + 180) % 360 - 180) > FARTHEST:
        stated = f"its ViewPosition is {''.join(found['ViewPosition'])} and its primary angle {primary:g} degrees"
        raise _not_believed(name, f"contradicts itself, {stated}")
    row_pitch, column_pitch = _spacing(found, name)
    near = _to_isocenter(found, distance, name)
    camera = c_arm(isocenter, distance, near, (column_pitch, row_pitch), size, (primary, secondary))
    usual = USUAL if named and view is not None and view[0] in (0.0, 180.0) else []
    letters = found.get("PatientOrientation", usual)
    return _oriented(camera, letters, name) if letters or named else _on_detector(camera, found, name)


def _values(text: str) -> list[str]:
    return [part.strip() for part in text.strip().split("\\") if part.strip()]


def _number(found: dict[str, list[str]], key: str, name: str) -> float:
    """The one number of a tag; raises RegistrationError for text, several numbers, and none that is finite."""
    try:
        value = float(found[key][0]) if len(found[key]) == 1 else math.nan
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    stated = "\\".join(found[key])
    raise _not_believed(name, f"has {stated!r} in the DICOM tag {key} ({TAGS[key].replace('|', ',')})")


def _spacing(found: dict[str, list[str]], name: str) -> tuple[float, float]:
    """(row, column) pitch in mm, in the order of the tag."""
    key = "ImagerPixelSpacing"
    row, column = (_number({key: [value]}, key, name) for value in (found[key] * 2)[:2])
    if not min(row, column) > 0:
        raise _not_believed(name, f"has pixels of {row:g} x {column:g} mm in the DICOM tag {key} (0018,1164)")
    return row, column


def _to_isocenter(found: dict[str, list[str]], distance: float, name: str) -> float:
    """Source to isocenter in mm; raises RegistrationError where what the tags say of it contradicts itself.

    To the patient it may be less: to the table, in DX files.
    """
    keys: tuple[str, ...] = ("DistanceSourceToIsocenter", "DistanceSourceToPatient")
    stated = {key: _number(found, key, name) for key in keys if key in found}
    if MAGNIFICATION in found and not (stated and _number(found, MAGNIFICATION, name) == 1):  # 1 fills an empty field
        stated[MAGNIFICATION] = distance / max(_number(found, MAGNIFICATION, name), 1e-9)
    for key, value in stated.items():
        if not 0 < value < distance:
            raise _not_believed(name, f"puts source and detector {distance:g} mm apart and the patient at {value:g} mm")
        if abs(value / next(iter(stated.values())) - 1) > UNEQUAL:
            listed = ", ".join(
                f"{value:.0f} mm by {key} ({TAGS[key].replace('|', ',')})" for key, value in stated.items()
            )
            raise _not_believed(name, f"contradicts itself, from the source to the patient it is {listed}")
    return next(iter(stated.values()))


def _not_believed(name: str, what: str) -> RegistrationError:
    return RegistrationError(
        f"{name} {what}: give its geometry as a file with {{geometry}}.", option="geometry", path=name
    )


def _oriented(camera: Camera, letters: list[str], name: str) -> Camera:
    """The camera with columns and rows along PatientOrientation (direction of the columns, of the rows), if stated.

    An image that was turned or mirrored in its plane is one of eight; that is taken whose columns and rows agree.
    Raises RegistrationError for letters that nobody knows, and for directions that do not lie in the image's plane.
    """
    if not letters:
        return camera
    if len(letters) != 2 or any(not set(text) <= set(DIRECTIONS) for text in letters):
        stated = "\\".join(letters)
        raise _not_believed(name, f"has the PatientOrientation (0020,0020) {stated!r}, which is not known")
    wanted = [_direction(text) for text in letters]
    x, y = (camera.pose[:3, n].double() for n in range(2))
    choices = [(a * first, b * second) for first, second in ((x, y), (y, x)) for a in (1, -1) for b in (1, -1)]
    right, down = max(choices, key=lambda pair: float(pair[0] @ wanted[0] + pair[1] @ wanted[1]))
    if min(float(right @ wanted[0]), float(down @ wanted[1])) < LEAST_AGREEMENT:
        stated = "\\".join(letters)
        what = f"its PatientOrientation (0020,0020) {stated!r} does not fit the direction of its beam"
        raise _not_believed(name, f"contradicts itself, {what}")
    return _lying(camera, right, down)


def _on_detector(camera: Camera, found: dict[str, list[str]], name: str) -> Camera:
    """The camera of an image that was turned clockwise, then flipped left to right, after its detector had taken it."""
    turn = _number({"FieldOfViewRotation": ["0"], **found}, "FieldOfViewRotation", name)
    flip = found.get("FieldOfViewHorizontalFlip", ["NO"])[0].upper()
    if turn % 90 or flip not in ("YES", "NO"):
        stated = f"FieldOfViewRotation (0018,7032) {turn:g} and the FieldOfViewHorizontalFlip (0018,7034) {flip}"
        raise _not_believed(name, f"has the {stated}, which are not known")
    right, down = (camera.pose[:3, n].double() * math.copysign(1, camera.spacing[n]) for n in range(2))
    for _ in range(int(turn // 90) % 4):
        right, down = -down, right
    return _lying(camera, -right if flip == "YES" else right, down)


def _lying(camera: Camera, right: Tensor, down: Tensor) -> Camera:
    """The camera whose columns and rows run along two of its axes, (3,) RAS, if need be read out mirrored."""
    axis = camera.pose[:3, 2].double()
    pose = camera.pose.clone()
    across = torch.linalg.cross(axis, right)
    pose[:3, :3] = torch.stack((right, across, axis), 1)
    pitch = [abs(p) for p in camera.spacing]
    return replace(camera, pose=pose, spacing=(pitch[0], pitch[1] if float(across @ down) > 0 else -pitch[1]))


def _direction(letters: str) -> Tensor:
    """(3,) unit vector in RAS of letters such as `L` or `LF`."""
    vector = torch.zeros(3, dtype=torch.float64)
    for letter in letters:
        axis, sign = DIRECTIONS[letter]
        vector[axis] += sign
    return vector / vector.norm().clamp(min=1e-12)
