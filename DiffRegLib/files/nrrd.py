"""What the header of a NRRD or MetaImage file says beside the grid: unit, space, segments, direction of a field."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.segments import Segment
from DiffRegLib.image import Image, to_itk

LONGEST = 1 << 20
"""Bytes of a header, at most."""

MILLIMETERS = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "meter": 1000.0, "um": 1e-3, "µm": 1e-3}
"""What a unit of length is in mm; an empty one is taken for mm, as everyone does."""

PATIENT = ("right-anterior-superior", "left-anterior-superior", "left-posterior-superior", "ras", "las", "lps")
"""The spaces that say where the patient's sides are, alone or with "-time"."""

UNTURNED = "(1,0,0)(0,1,0)(0,0,1)"
"""The measurement frame of vectors that are in the space of the file."""
SEGMENT = re.compile(r"Segment(\d+)_(\w+)")


def header(path: str | Path) -> dict[str, str]:
    """Fields and key-value pairs of a .nrrd, .nhdr, .mha or .mhd file, names of fields in lower case; else empty."""
    name = Path(path).name.lower()
    if not name.endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        return {}
    with open(path, "rb") as file:
        content = file.read(LONGEST)
    if name.endswith((".mha", ".mhd")):
        return _meta(content)
    text = re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0].decode("utf-8", "replace")
    found = {}
    for line in text.splitlines()[1:]:
        if line.startswith("#"):
            continue
        pair = line.split(":=", 1) if ":=" in line else line.split(": ", 1)
        if len(pair) == 2:
            key = pair[0] if ":=" in line else pair[0].lower()
            found[key.strip()] = pair[1].strip()
    return found


def _meta(content: bytes) -> dict[str, str]:
    """The fields of a MetaImage, up to the one after which the data begin."""
    found = {}
    for line in content.split(b"\n"):
        key, equals, value = line.decode("utf-8", "replace").partition("=")
        if not equals:
            break
        found[key.strip().lower()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    return found


def unit(fields: dict[str, str], path: str | Path) -> float:
    """The unit of the grid in mm; raises `RegistrationError` for one that is no length, and for unequal ones."""
    stated = fields.get("space units") or fields.get("distanceunits") or ""
    words = re.findall(r'"([^"]*)"', stated) or stated.split()
    words = {word.strip() for word in words if word.strip() not in ("", "???", "none", "nan")}
    if not words:
        return 1.0
    if len(words) > 1 or (word := words.pop()).lower() not in MILLIMETERS:
        raise RegistrationError(f"{path} states the space units {stated}: convert it to mm.")
    return MILLIMETERS[word.lower()]


def check_space(fields: dict[str, str], path: str | Path) -> None:
    """Raises `RegistrationError` where the file states a space that is not that of a patient."""
    space = fields.get("space", "").lower().removesuffix("-time")
    if space and space not in PATIENT:
        raise RegistrationError(
            f"{path} lies in the space {space!r}, which does not say where the patient's sides are: save it as "
            "left-posterior-superior."
        )


def write_segmentation(
    image: Image, segments: tuple[Segment, ...], path: str | Path, dtype: str, compress: bool
) -> None:
    """Writes label maps (a channel a layer) with what names their segments, as Slicer's Segmentations read it."""
    import SimpleITK as sitk

    itk = to_itk(image, dtype)
    for number, segment in enumerate(segments):
        extent = _extent(image.data[segment.layer] == segment.value)
        tags = {
            **segment.tags,
            "ID": segment.tags.get("ID", f"Segment_{number + 1}"),
            "Name": segment.name,
            "LabelValue": str(segment.value),
            "Layer": str(segment.layer),
            "Extent": " ".join(map(str, extent)),
        }
        for key, value in tags.items():
            itk.SetMetaData(f"Segment{number}_{key}", value)
    itk.SetMetaData("Segmentation_ReferenceImageExtentOffset", "0 0 0")
    itk.SetMetaData("Segmentation_ContainedRepresentationNames", "Binary labelmap|")
    itk.SetMetaData("Segmentation_SourceRepresentation", "Binary labelmap")
    sitk.WriteImage(itk, str(path), useCompression=compress)
    if image.channels > 1:
        content = Path(path).read_bytes()
        head, blank, body = content.partition(b"\n\n")
        Path(path).write_bytes(head.replace(b"kinds: vector ", b"kinds: list ") + blank + body)


def _extent(inside: Tensor) -> list[int]:
    """First and last voxel along i, j, k of where a (D, H, W) mask is true; 0 -1 each where it is empty."""
    found: list[int] = []
    for axis in (2, 1, 0):
        filled = inside.movedim(axis, 0).flatten(1).any(1).nonzero()
        found += [int(filled[0]), int(filled[-1])] if len(filled) else [0, -1]
    return found


def check_vectors(fields: dict[str, str], path: str | Path) -> None:
    """Raises `RegistrationError` where the vectors of a field may be in another frame or unit than LPS mm."""
    if unit(fields, path) != 1.0:
        raise RegistrationError(f"{path} is a field in another unit than mm: convert it.", path=path)
    space = fields.get("space", "").lower()
    turned = fields.get("measurement frame", "").replace(" ", "")
    if space.removesuffix("-time") not in ("", "left-posterior-superior", "lps") or turned not in ("", UNTURNED):
        raise RegistrationError(
            f"{path} is a field in the space {space or 'unknown'} or with a frame of its own: save it in the space "
            "left-posterior-superior, where ITK and Slicer read its vectors alike.",
            path=path,
        )


def segments(fields: dict[str, str]) -> tuple[Segment, ...]:
    """The segments of a segmentation of Slicer in their order; empty for any other file."""
    by_number: dict[int, dict[str, str]] = {}
    for key, value in fields.items():
        if match := SEGMENT.fullmatch(key):
            by_number.setdefault(int(match[1]), {})[match[2]] = value
    found = []
    for number, tags in sorted(by_number.items()):
        name = tags.get("Name") or tags.get("ID") or f"Segment {number + 1}"
        value, layer = int(tags.get("LabelValue", number + 1)), int(tags.get("Layer", 0))
        found.append(Segment(name, value, layer, tags))
    return tuple(found)
