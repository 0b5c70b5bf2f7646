"""NIfTI files as they are stored: voxels in their own type, and all that the header says of them."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.packing import packed
from DiffRegLib.files.stored import Stored, check_axes
from DiffRegLib.image import Image, stored_as

SUFFIXES = (".nii", ".nii.gz")
LABEL, DISPLACEMENT, VECTOR = 1002, 1006, 1007
"""Intent codes: names of structures; vectors from a point to where it goes; any vectors."""
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
"""Spatial units of `xyzt_units` in mm: unknown, m, mm, micrometers."""
SLICES = 16
"""That are brought to the type of the file at a time."""
AGREEMENT = 0.1
"""Voxels by which qform and sform may differ: float32 and quaternions are rounded."""


@dataclass(frozen=True, eq=False)
class Voxels:
    """data (C, D, H, W) in the file's own type, its rescaling done where there is one; header; shape (X, Y, Z)."""

    data: np.ndarray
    header: Any
    shape: tuple[int, ...]
    rescaled: bool


def read(path: Path) -> Stored:
    """The voxels and the geometry of a NIfTI file; raises `RegistrationError` that says what is wrong with it."""
    voxels = read_voxels(path)
    head = voxels.header
    intent = int(head["intent_code"])
    return Stored(
        voxels.data,
        _affine(head, voxels.shape, path),
        says=True if intent == LABEL else None,
        intent=intent,
        intent_name=bytes(head["intent_name"].tobytes()).rstrip(b"\0 ").decode("latin-1"),
        intent_parameter=int(head["intent_p1"]),
        rescaled=voxels.rescaled,
    )


def read_voxels(path: Path) -> Voxels:
    """What a NIfTI file holds, wherever it lies; raises `RegistrationError` for one that cannot be read."""
    import nibabel

    try:
        file = nibabel.load(path)
        raw = np.asarray(file.dataobj.get_unscaled())
    except (EOFError, OSError, ValueError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise RegistrationError(_cause(path, error)) from None
    if raw.dtype.names or np.iscomplexobj(raw):
        raise RegistrationError(f"{path} holds colors or complex numbers: give an image with one number a voxel.")
    data = _channels_first(_squeezed(raw, path))
    slope, intercept = file.dataobj.slope, file.dataobj.inter
    rescaled = (slope, intercept) != (1.0, 0.0)
    if rescaled:
        data = data.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    data = data.astype(data.dtype.newbyteorder("="), copy=False)
    return Voxels(data, file.header, (*raw.shape, 1, 1)[:3], rescaled)


def _cause(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{path} may not be read: change its permissions."
    return f"{path} cannot be read as NIfTI, it is truncated or damaged: copy it again from its source."


def _squeezed(raw: np.ndarray, path: Path) -> np.ndarray:
    """(X, Y, Z) or (X, Y, Z, C): axes of one voxel behind the third go, one that holds vectors stays."""
    shape = (*raw.shape, 1, 1)[: max(3, raw.ndim)]
    extra = [n for n in shape[3:] if n != 1]
    if len(extra) > 1 or (len(extra) == 1 and len(shape) == 4):
        raise RegistrationError(f"{path} has {sum(n > 1 for n in shape)} dimensions: give one 3D volume.")
    return raw.reshape(shape[:3] + tuple(extra), order="F")


def _channels_first(raw: np.ndarray) -> np.ndarray:
    """(C, D, H, W) of (X, Y, Z) or (X, Y, Z, C), without a copy where there is one channel."""
    return raw.T[None] if raw.ndim == 3 else np.ascontiguousarray(raw.T)


def _affine(head: Any, shape: tuple[int, ...], path: Path) -> torch.Tensor:
    """(4, 4) RAS mm; raises where the file has no geometry, two that disagree, or one that is no grid."""
    sform, qform = int(head["sform_code"]) > 0, int(head["qform_code"]) > 0
    if not sform and not qform:
        raise RegistrationError(
            f"{path} has no geometry (qform and sform are unset): set them to the scanner's coordinates."
        )
    try:
        found = [np.asarray(m, float) for m, there in ((head.get_sform(), sform), (head.get_qform(), qform)) if there]
    except ValueError:
        raise RegistrationError(f"{path} has a qform that is no rotation: repair its geometry.") from None
    millimeters = UNITS.get(int(head["xyzt_units"]) & 7)
    if millimeters is None:
        raise RegistrationError(f"{path} states an unknown unit of length: convert it to mm.")
    for affine in found:
        affine[:3] *= millimeters
        check_axes(affine, path)
    if len(found) == 2:
        _check_agreement(*found, shape, path)
    return torch.from_numpy(found[0])


def _check_agreement(sform: np.ndarray, qform: np.ndarray, shape: tuple[int, ...], path: Path) -> None:
    corners = np.array([[i, j, k, 1] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)])
    apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
    if apart > AGREEMENT * np.linalg.norm(sform[:3, :3], axis=0).min():
        raise RegistrationError(
            f"{path} contradicts itself, its sform and its qform place it up to {apart:.1f} mm apart: keep the right "
            "one and set the code of the other to 0."
        )


def write(image: Image, path: str | Path, dtype: str) -> None:
    """Writes all channels of an image (vectors, where there are several) with numpy's `dtype`; qform = sform, mm.

    Packed on all cores: a CT would keep one busy for many seconds.
    """
    import nibabel

    head = nibabel.Nifti1Header()
    head.set_data_dtype(np.dtype(dtype))
    size = image.shape[::-1]
    head.set_data_shape(size if image.channels == 1 else (*size, 1, image.channels))
    head["intent_code"] = 0 if image.channels == 1 else VECTOR
    head.set_xyzt_units("mm")
    head.set_qform(image.affine.numpy(), code=1)
    head.set_sform(image.affine.numpy(), code=1)
    head["vox_offset"], head["magic"], head["scl_slope"] = 352, b"n+1", 1.0
    slabs = image.data.flatten(0, 1).split(SLICES)
    voxels = (memoryview(stored_as(slab, dtype)).cast("B") for slab in slabs)
    content = itertools.chain([head.binaryblock + bytes(4)], voxels)
    try:
        with open(path, "wb") as file:
            for block in packed(content) if str(path).lower().endswith(".gz") else content:
                file.write(block)
    except OSError as error:
        raise RegistrationError(
            f"{path} cannot be written ({error.strerror}): check folder, permission and disk space.", path=path
        ) from None
