"""What a file is, by its name alone: decided before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs.job import JOB, split_key

Kind = Literal["image", "surface", "points", "transform", "result"]

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "points": (".npz", ".csv", ".mrk.json", ".fcsv"),
    "surface": (".vtk", ".vtp", ".ply", ".stl"),
    "transform": (".h5", ".hdf5", ".tfm", ".txt", ".mat"),
    "image": (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"),
}


def kind_of(path: str | os.PathLike) -> Kind:
    """The kind of an existing file or folder; `.npz:key` names one array of an archive.

    Raises `RegistrationError` for a missing file and for an extension that nothing here reads.
    """
    file = Path(split_key(os.fspath(path))[0])
    if not file.exists():
        raise RegistrationError(f"{file} does not exist: check the name.")
    if file.is_dir():
        return "result" if (file / JOB).is_file() else "image"
    return kind_of_name(file.name, str(path))


def kind_of_name(name: str, shown: str | None = None) -> Kind:
    """The kind that a file name stands for; `shown` is what an error calls it."""
    for kind, suffixes in SUFFIXES.items():
        if name.lower().endswith(suffixes):
            return kind
    known = " ".join(s for suffixes in SUFFIXES.values() for s in suffixes)
    raise RegistrationError(f"{shown or name} has an unknown extension: use one of {known}, or a DICOM folder.")


def check_input(path: str, accepted: tuple[Kind, ...], role: str) -> str:
    """Returns the path, or raises `RegistrationError` where it is missing, unreadable or of another kind."""
    kind = kind_of(path)
    if kind not in accepted:
        what = {"image": "an image", "surface": "a surface", "points": "a file of points"}
        names = " or ".join(what.get(k, f"a {k}") for k in accepted)
        raise RegistrationError(f"{path} cannot be used as {role}: give {names}.")
    if not os.access(split_key(path)[0], os.R_OK):
        raise RegistrationError(f"{path} may not be read: change its permissions.")
    return path
