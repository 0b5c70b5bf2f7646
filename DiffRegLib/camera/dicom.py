"""The camera of an X-ray from its DICOM tags (XA, DX, RF)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

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


def from_dicom(
    tags: Mapping[str, str], size: tuple[int, int], isocenter: Tensor | Sequence[float], name: str = "The X-ray"
) -> Camera:
    """The camera that DICOM tags describe, about an isocenter (3,) RAS mm, which DICOM does not know.

    tags: "gggg|eeee" -> value, as SimpleITK gives them; size: (rows, columns).
    The image is taken to be displayed as usual, the patient's head up and right side on the left of a frontal view,
    unless PatientOrientation says otherwise. In DX files DistanceSourceToPatient ends at the table: a start, no truth.
    Raises RegistrationError that names every tag that is missing.
    """
    found = {key: values for key, tag in TAGS.items() if (values := _values(tags.get(tag, "")))}
    if "DistanceSourceToDetector" in found:
        found.setdefault(
            "DistanceSourceToPatient", found.get("DistanceSourceToIsocenter") or _from_magnification(found)
        )
    view = POSITIONS.get("".join(found.get("ViewPosition", ())))
    if view is not None:
        found.setdefault("PositionerPrimaryAngle", [str(view[0])])
        found.setdefault("PositionerSecondaryAngle", [str(view[1])])
    missing = [key for key in NEEDED if not found.get(key)]
    if missing:
        named = ", ".join(f"{key} ({TAGS[key].replace('|', ',')})" for key in missing)
        raise RegistrationError(
            f"{name} does not say how it was taken, these DICOM tags are missing: {named}; give its geometry by "
            "{geometry}.",
            option="geometry",
            path=name,
        )
    distance, to_patient, primary, secondary = (_number(found, key, name) for key in (*NEEDED[:2], *NEEDED[3:]))
    row_pitch, column_pitch = _spacing(found, name)
    camera = c_arm(isocenter, distance, to_patient, (column_pitch, row_pitch), size, (primary, secondary))
    return _oriented(camera, found.get("PatientOrientation", []))


def _values(text: str) -> list[str]:
    return [part.strip() for part in text.strip().split("\\") if part.strip()]


def _from_magnification(found: dict[str, list[str]]) -> list[str]:
    """Source to patient from the magnification of the patient on the detector."""
    try:
        factor = float(found["EstimatedRadiographicMagnificationFactor"][0])
        return [str(float(found["DistanceSourceToDetector"][0]) / factor)]
    except (KeyError, ValueError, ZeroDivisionError):
        return []


def _number(found: dict[str, list[str]], key: str, name: str) -> float:
    try:
        return float(found[key][0])
    except ValueError:
        raise RegistrationError(
            f"{name} has {found[key][0]!r} in the DICOM tag {key} ({TAGS[key].replace('|', ',')}): give its geometry "
            "by {geometry}.",
            option="geometry",
            path=name,
        ) from None


def _spacing(found: dict[str, list[str]], name: str) -> tuple[float, float]:
    """(row, column) pitch in mm, in the order of the tag."""
    values = found["ImagerPixelSpacing"]
    both = [{"ImagerPixelSpacing": [value]} for value in (values * 2)[:2]]
    row, column = (_number(one, "ImagerPixelSpacing", name) for one in both)
    return row, column


def _oriented(camera: Camera, letters: list[str]) -> Camera:
    """Mirrors columns or rows where PatientOrientation (direction of the columns, of the rows) says the opposite."""
    if len(letters) != 2 or any(not text or text[0] not in DIRECTIONS for text in letters):
        return camera
    flips = []
    for n, text in enumerate(letters):
        axis, sign = DIRECTIONS[text[0]]
        along = float(camera.pose[axis, n]) * sign * (1 if camera.spacing[n] > 0 else -1)
        flips.append(-1 if along < -0.3 else 1)
    return replace(camera, spacing=(camera.spacing[0] * flips[0], camera.spacing[1] * flips[1]))
