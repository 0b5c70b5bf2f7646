"""What a file is, by its name alone: one vocabulary for command line, jobs and panels; nothing heavy is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from DiffRegLib.errors import RegistrationError

Kind = Literal["image", "labels", "surface", "points", "transform", "xray", "geometry", "weights", "table", "result"]
"""What a thing is: a volume of intensities, whole numbers that name structures (a label map, a segmentation), a mesh,
a list of points (a cloud, landmarks), a transform (a field in an image file among them), an acquired radiograph, a
camera's geometry, the weights of a network, a table of numbers, a result folder."""

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "points": (".npz", ".csv", ".mrk.json", ".fcsv"),
    "surface": (".vtk", ".vtp", ".ply", ".stl"),
    "transform": (".h5", ".hdf5", ".tfm", ".txt", ".mat"),
    "image": (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"),
    "geometry": (".json",),
    "weights": (".safetensors",),
    "xray": (".dcm", ".dicom", ".ima", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp"),
}
"""The suffixes that stand for a kind; the first kind whose suffix fits is that of a name."""

HOLDS: dict[Kind, tuple[Kind, ...]] = {
    "image": ("labels", "transform", "xray"),
    "result": ("transform",),
    "xray": ("image",),
}
"""What else may be in a file whose name stands for a kind: a field in an image file, a volume in a DICOM file."""

ANY_NAME: tuple[Kind, ...] = ("xray", "geometry", "weights", "table")
"""Kinds whose files may have any name: DICOM files often have no suffix."""

READ_BY_NAME: tuple[Kind, ...] = ("points", "surface", "transform", "image")
JOB = "job.json"
"""The file that makes a folder a result."""

_WORDS: dict[Kind, str] = {
    "image": "an image",
    "labels": "a label map",
    "surface": "a surface",
    "points": "a file of points",
    "xray": "an X-ray",
}


def split_key(path: str | os.PathLike) -> tuple[str, str]:
    """`clouds.npz:insp` as file and key; the key is empty for every other path."""
    match = re.fullmatch(r"(.*\.npz):([^:/\\]+)", os.fspath(path), flags=re.IGNORECASE | re.DOTALL)
    return (match[1], match[2]) if match else (os.fspath(path), "")


def suffix_of(path: str | os.PathLike) -> str:
    """The lower-case suffix by which a file is read: `.mrk.json`, `.nii.gz`, `.npz` (a key is left out), `.csv`."""
    name = Path(split_key(path)[0]).name.lower()
    known = [s for suffixes in SUFFIXES.values() for s in suffixes if name.endswith(s)]
    return max(known, key=len, default=Path(name).suffix)


def kind_of(path: str | os.PathLike) -> Kind:
    """The kind of an existing file or folder, as its name says it.

    Raises `RegistrationError` for a missing file and for an extension that nothing here reads.
    """
    file = Path(split_key(path)[0])
    if not file.exists():
        raise RegistrationError(f"{file} does not exist: check the name.")
    if file.is_dir():
        return "result" if (file / JOB).is_file() else "image"
    return kind_of_name(file.name, os.fspath(path))


def kind_of_name(name: str, shown: str | None = None) -> Kind:
    """The kind that a file name stands for; `shown` is what an error calls it."""
    for kind, suffixes in SUFFIXES.items():
        if name.lower().endswith(suffixes):
            return kind
    known = " ".join(s for kind in READ_BY_NAME for s in SUFFIXES[kind])
    raise RegistrationError(f"{shown or name} has an unknown extension: use one of {known}, or a DICOM folder.")


def accepted_as(path: str | os.PathLike, kinds: Iterable[Kind]) -> Kind | None:
    """The first of these kinds that a file may be, judged by its name, or None."""
    kinds = tuple(kinds)
    loose = any(k in ANY_NAME for k in kinds) and os.path.isfile(split_key(path)[0])
    try:
        named = kind_of(path)
    except RegistrationError:
        if not loose:
            raise
        named = None
    if named in kinds:
        return named
    for kind in kinds:
        if kind in HOLDS.get(named, ()) or (kind in ANY_NAME and loose):
            return kind
    return None


def check_input(path: str, kinds: Iterable[Kind], role: str) -> str:
    """Returns the path, or raises `RegistrationError` where it is missing, unreadable or of none of these kinds."""
    kinds = tuple(kinds)
    if accepted_as(path, kinds) is None:
        names = " or ".join(dict.fromkeys(_WORDS.get(k, f"a {k}") for k in kinds))
        raise RegistrationError(f"{path} cannot be used as {role}: give {names}.")
    if not os.access(split_key(path)[0], os.R_OK):
        raise RegistrationError(f"{path} may not be read: change its permissions.")
    return path
