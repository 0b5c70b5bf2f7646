"""DICOM images as they are stored: the values before anyone inverts or rescales them, and each frame's own tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from DiffRegLib.errors import RegistrationError

MOTION, PRIMARY, SECONDARY = "0018|1500", "0018|1510", "0018|1511"
INCREMENTS = {PRIMARY: "0018|1520", SECONDARY: "0018|1521"}
"""The angles of a positioner, and how far those of each frame are from those of the first (PS3.3 C.8.7.5)."""
TABLE_INCREMENTS = ("0018|1135", "0018|1136", "0018|1137")
"""How far the table of each frame is from that of the first, mm: vertically, laterally, longitudinally (C.8.7.4)."""
SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
DESCRIBED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
DESCRIBED += ("SamplesPerPixel", "PhotometricInterpretation")
"""What a DICOM file has to say of its pixels."""
MOVED = 0.01
"""Degrees by which a positioner may be off and still stand."""


@dataclass(frozen=True, eq=False)
class Frames:
    """The images of a file: values (F, rows, columns) as stored; tags "gggg|eeee" -> text of each frame.

    inverted: whether low values are shown bright (MONOCHROME1).
    """

    values: np.ndarray
    tags: tuple[dict[str, str], ...]
    inverted: bool


def read_frames(path: Path) -> Frames:
    """All frames of a DICOM image; raises `RegistrationError` that names the file where it is no gray image."""
    import pydicom

    try:
        file = pydicom.dcmread(path)
        _check_gray(file, path)
        count = int(file.get("NumberOfFrames", 1) or 1)
        values = _stored(file, path).reshape(count, int(file.Rows), int(file.Columns))
    except (pydicom.errors.InvalidDicomError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, RegistrationError):
            raise
        raise _error(path, "cannot be read as a DICOM image, it is truncated or damaged: copy it again") from None
    tags = tuple(_tags(file, n) for n in range(count))
    if PER_FRAME not in file:
        tags = tuple(_carried(_turned(t, n, count, path), n) for n, t in enumerate(tags))
    return Frames(values, tags, _is_inverted(file))


def _error(path: Path, what: str) -> RegistrationError:
    return RegistrationError(f"{path} {what}.", path=path)


def _check_gray(file: Any, path: Path) -> None:
    """Raises `RegistrationError` for a file without an image, without tags that describe its pixels, and of colors."""
    if not any(name in file for name in PIXELS):
        kind = file.get("Modality", "") or "no modality"
        raise _error(path, f"is a DICOM file ({kind}) without an image: give that of the X-ray, or copy it again")
    lacking = ", ".join(name for name in DESCRIBED if "PixelData" in file and file.get(name) is None)
    if lacking:
        raise _error(
            path, f"does not say what its pixels are, these DICOM tags are missing: {lacking}; export it again"
        )
    if int(file.SamplesPerPixel) != 1 or not str(file.PhotometricInterpretation).startswith("MONOCHROME"):
        raise _error(path, "is a color image: convert it to shades of gray, or give the original X-ray")


def _is_inverted(file: Any) -> bool:
    return str(file.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1"


def _stored(file: Any, path: Path) -> np.ndarray:
    """The stored values; where they are compressed, from the reader that inverts and rescales, with that undone."""
    import SimpleITK as sitk

    try:
        return file.pixel_array
    except (NotImplementedError, RuntimeError):
        pass
    try:
        shown = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(np.float64)
    except RuntimeError:
        raise _error(path, "is compressed in a way that cannot be read: store it uncompressed") from None
    slope, intercept = float(file.get("RescaleSlope", 1) or 1), float(file.get("RescaleIntercept", 0) or 0)
    values = (shown - intercept) / slope
    return (2 ** int(file.BitsStored) - 1) - values if _is_inverted(file) else values


def _tags(file: Any, frame: int) -> dict[str, str]:
    """The tags of the file as text, those of the frame's functional groups over them."""
    found = _flat(file, top=True)
    for name, index in ((SHARED, 0), (PER_FRAME, frame)):
        groups = file.get(name)
        if groups is not None and index < len(groups):
            found |= _flat(groups[index])
    return found


def _flat(dataset: Any, top: bool = False) -> dict[str, str]:
    """Values of a data set and, below the top, of all that is nested in it."""
    found: dict[str, str] = {}
    for element in dataset:
        key = f"{element.tag.group:04x}|{element.tag.element:04x}"
        if element.VR == "SQ":
            for item in element.value if not top else ():
                found |= _flat(item)
        elif element.VR not in ("OB", "OW", "OF", "OD", "UN") and element.value is not None:
            several = isinstance(element.value, (list, tuple)) or type(element.value).__name__ == "MultiValue"
            found[key] = "\\".join(map(str, element.value)) if several else str(element.value)
    return found


def _turned(tags: dict[str, str], frame: int, count: int, path: Path) -> dict[str, str]:
    """The tags with the angles of the frame: of a run, the file states those of the first and the increments."""
    if count == 1:
        return tags
    turned = dict(tags)
    moves = tags.get(MOTION, "").strip() == "DYNAMIC"
    for angle, increment in INCREMENTS.items():
        steps = _numbers(tags.get(increment, ""))
        if not steps:
            if moves and angle == PRIMARY:
                turned[angle] = ""  # it turned, and the file does not say how far
            continue
        if len(steps) != count:
            if max(map(abs, steps)) > MOVED:
                raise _error(path, f"has {count} frames and {len(steps)} angle increments: give the geometry as a file")
            continue
        first = _numbers(tags.get(angle, ""))
        if first:
            turned[angle] = str(first[0] + steps[frame])
    return turned


def _carried(tags: dict[str, str], frame: int) -> dict[str, str]:
    """The tags with the frame's own increments of the table, of which the file lists those of all."""
    steps = {increment: _numbers(tags.get(increment, "")) for increment in TABLE_INCREMENTS}
    return tags | {key: str(listed[frame]) if frame < len(listed) else "" for key, listed in steps.items()}


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split("\\") if part.strip()]
    except ValueError:
        return []
