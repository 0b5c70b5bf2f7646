"""Transform files of every kind: ITK's own, and fields in image files with what their header says of the vectors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import images, nifti, nrrd
from DiffRegLib.files.kinds import SUFFIXES, suffix_of
from DiffRegLib.files.stored import Stored
from DiffRegLib.image import Image
from DiffRegLib.transforms import DisplacementField, Transform
from DiffRegLib.transforms.io import read_itk_transform

DIRECTION = "displacement field type"
"""The key in the header of a NRRD file of Slicer 5.10 and later."""
NIFTYREG, SPM = "NREG_TRANS", "Mapping"
"""Names of the intent in NIfTI files of NiftyReg and SPM: positions, or displacements, in RAS mm."""
FSL = range(2001, 2020)
"""Intent codes of FSL's warps."""
GROWTH = 0.7
"""Mean growth of vectors per mm above which they are places: they grow as the coordinates do. A displacement field with
it would enlarge everything by 70 %."""


def read_transform(path: str | os.PathLike, ras_components: bool = False) -> Transform:
    """The transform (fixed -> moving, RAS mm) of a file; see `read_both`."""
    return read_both(path, ras_components)[0]


def read_both(path: str | os.PathLike, ras_components: bool = False) -> tuple[Transform, Transform | None]:
    """The transform of a file, and its inverse where the file holds that: a field that says that it models the motion.

    A field's vectors are taken as ITK and Slicer do: RAS in a NIfTI file with intent 1006 (displacement), LPS elsewhere
    unless `ras_components`; positions and displacements of NiftyReg and SPM, which say so, are RAS. Raises
    `RegistrationError` that names the file: missing, unreadable, not finite, or of a kind that is not supported.
    """
    path = Path(path)
    if not path.is_file():
        raise RegistrationError(f"{path} does not exist: check the path of the transform.", path=path)
    if suffix_of(path) in SUFFIXES["transform"]:
        return read_itk_transform(path), None
    if suffix_of(path) not in SUFFIXES["image"]:
        known = " ".join((*SUFFIXES["transform"], *SUFFIXES["image"]))
        raise RegistrationError(f"{path} has an unknown extension: give {known}.", path=path)
    stored = images.read_stored(path)
    field = _field(stored, path, ras_components)
    stated = (stored.fields or {}).get(DIRECTION, "resampling").strip().lower()
    if stated == "modeling":
        return field.inverse(), field
    if stated != "resampling":
        raise RegistrationError(f"{path} states the {DIRECTION} {stated!r}: save it as resampling.", path=path)
    return field, None


def _field(stored: Stored, path: Path, ras_components: bool) -> DisplacementField:
    data = stored.data
    if data.shape[0] != 3 or not np.issubdtype(data.dtype, np.floating):
        raise RegistrationError(
            f"{path} is no 3D image of vectors with 3 components: give a displacement field.",
            path=path,
        )
    if not np.isfinite(data).all():
        raise RegistrationError(
            f"{path} holds NaN or infinite vectors: replace them, for instance by those of their neighbors.", path=path
        )
    if stored.intent in FSL:
        raise RegistrationError(
            f"{path} is a warp of FSL, which counts in voxels of its own images: convert it to a displacement "
            "field of ITK.",
            path=path,
        )
    nrrd.check_vectors(stored.fields or {}, path)
    vectors = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
    meaning = _meaning(stored, path)
    if meaning is None:
        _check_displacements(stored, path)
        ras = ras_components or stored.intent == nifti.DISPLACEMENT
        signs = torch.tensor([1.0, 1.0, 1.0] if ras else [-1.0, -1.0, 1.0])
        return DisplacementField(Image(vectors * signs[:, None, None, None], stored.affine))
    return DisplacementField(meaning(Image(vectors, stored.affine)))


def _meaning(stored: Stored, path: Path) -> Callable[[Image], Image] | None:
    """What makes displacements (RAS mm) of the vectors of NiftyReg and SPM; None for a field that is neither."""
    if stored.intent_name == SPM:
        return _from_positions
    if stored.intent_name != NIFTYREG:
        return None
    kinds = {0: _from_positions, 1: lambda image: image}
    if stored.intent_parameter not in kinds:
        raise RegistrationError(
            f"{path} is a grid of splines or velocities of NiftyReg: convert it to a deformation field (reg_transform "
            "-def).",
            path=path,
        )
    return kinds[stored.intent_parameter]


def _from_positions(image: Image) -> Image:
    """Displacements of an image of positions, both RAS mm."""
    return Image(image.data - image.grid().movedim(-1, 0), image.affine)


def _check_displacements(stored: Stored, path: Path) -> None:
    """Raises where the vectors grow as the coordinates do: they are places, and the file does not say whose."""
    axes = stored.affine[:3, :3].numpy()
    steps = [np.diff(stored.data, axis=a).mean(axis=(1, 2, 3)) if stored.data.shape[a] > 1 else None for a in (3, 2, 1)]
    if any(step is None for step in steps):
        return
    growth = np.stack(steps, 1) @ np.linalg.inv(axes)
    if np.abs(np.diag(growth)).min() > GROWTH:
        raise RegistrationError(
            f"{path} holds places rather than displacements, its vectors grow as the coordinates do: subtract the "
            "coordinates, or give the field of displacements.",
            path=path,
        )
