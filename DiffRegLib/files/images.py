"""Volumes and their files: NIfTI, NRRD, MHA, a DICOM series in a folder, and whatever else SimpleITK reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import nifti, nrrd, series
from DiffRegLib.files.kinds import SUFFIXES
from DiffRegLib.files.segments import Segment, has_air, looks_like_labels
from DiffRegLib.files.stored import Stored
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image, from_itk_grid, to_itk

if TYPE_CHECKING:
    import SimpleITK

Evidence = Literal["user", "file", "values", "content"]
"""By which voxels count as labels or as intensities: someone says so, the file does, the values can be nothing else
(broken numbers, a CT's air), or their flatness, which is a guess that has to be told."""


def read_image(path: str | Path) -> Image:
    """The intensities of a file as float32: NIfTI, NRRD, MHA, ..., or the DICOM series in a folder.

    Raises `RegistrationError` that names the file when it is missing, cut off, not 3D, not finite or without geometry.
    """
    return intensities(read_stored(path), path)


def read_grid(path: str | Path) -> Geometry:
    """The grid of an image or a label map, whatever its voxels hold."""
    stored = read_stored(path)
    return Geometry(stored.data.shape[1:], stored.affine)


def intensities(stored: Stored, path: str | Path) -> Image:
    """What was read as float32; raises `RegistrationError` for values that are not finite."""
    data = torch.from_numpy(np.ascontiguousarray(stored.data, dtype=np.float32))
    if np.issubdtype(stored.data.dtype, np.floating) and not bool(data.isfinite().all()):
        raise RegistrationError(f"{path} holds NaN or infinite voxels: replace them, for instance by 0 or by air.")
    return Image(data, stored.affine)


def whole_numbers(stored: Stored, path: str | Path) -> Image:
    """What was read as labels; raises `RegistrationError` for values that are not whole, or too large for 64 bits."""
    data = stored.data
    if not np.issubdtype(data.dtype, np.integer):
        if not bool((data == np.rint(data)).all()):  # true for NaN as well
            raise RegistrationError(f"{path} has values that are no whole numbers, so it is no label map: give one.")
        data = data.astype(np.int64 if float(np.abs(data).max()) >= 2**31 else np.int32)
    if data.dtype == np.uint64 and int(data.max()) > np.iinfo(np.int64).max:
        raise RegistrationError(f"{path} has label numbers above 2^63: renumber them.")
    kept = {"int8": np.int16, "uint16": np.int32, "uint32": np.int64, "uint64": np.int64}.get(data.dtype.name)
    return Image(torch.from_numpy(np.ascontiguousarray(data, dtype=kept)), stored.affine)


def is_labels(stored: Stored, given: bool | None = None) -> tuple[bool, Evidence]:
    """Whether the voxels are labels, and by which evidence."""
    if given is not None:
        return given, "user"
    if stored.says is not None:
        return stored.says, "file"
    labels = looks_like_labels(stored.data)
    whole = labels or (np.issubdtype(stored.data.dtype, np.integer) and not has_air(stored.data))
    return labels, "content" if whole and stored.data.shape[0] == 1 else "values"


def read_stored(path: str | Path) -> Stored:
    """The voxels of a file or folder as they are stored, with what the header says of them."""
    path = Path(path)
    if not path.exists():
        raise RegistrationError(f"{path} does not exist: check the path.")
    if path.is_file() and path.stat().st_size == 0:
        raise RegistrationError(f"{path} is empty: save it again.")
    if path.name.lower().endswith(nifti.SUFFIXES):
        return nifti.read(path)
    if path.is_dir() or series.is_dicom(path):
        return series.read(path)
    if path.name.lower().endswith(SUFFIXES["xray"]):
        raise RegistrationError(f"{path} is a picture without a place in the patient: give a volume.", path=path)
    fields = nrrd.header(path)
    nrrd.check_space(fields, path)
    itk = _read_itk(path)
    try:
        affine = from_itk_grid(itk)
    except RegistrationError as error:
        raise RegistrationError(f"{path}: {error}") from None
    affine[:3] *= nrrd.unit(fields, path)
    segments = nrrd.segments(fields)
    data = _voxels(itk)
    layers = fields.get("kinds", "").startswith("list ") and np.issubdtype(data.dtype, np.integer)
    return Stored(data, affine, True if segments or layers else None, segments, fields=fields)


def _read_itk(path: Path) -> SimpleITK.Image:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise RegistrationError(f"{path} {_cause(str(error))}", path=path) from None
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        raise RegistrationError(f"{path} has {image.GetDimension()} dimensions: give one 3D volume.")
    return image


def _cause(complaint: str) -> str:
    """Why ITK does not read an image, and what to do."""
    if re.search("orthonormal|orthogonal|singular|determinant", complaint, re.IGNORECASE):
        return "has axes that are not at right angles: resample it to a grid with right angles."
    if "Unable to determine ImageIO" in complaint:
        return "cannot be read as an image: it is empty, damaged at its beginning or of another format."
    return "cannot be read as an image: it is truncated or damaged."


def _voxels(itk: SimpleITK.Image) -> np.ndarray:
    """(C, D, H, W) in the image's own type."""
    import SimpleITK as sitk

    data = sitk.GetArrayFromImage(itk)
    return np.moveaxis(data, -1, 0) if itk.GetNumberOfComponentsPerPixel() > 1 else data[None]


def write_image(image: Image, path: str | Path, dtype: str = "float32", compress: bool = True) -> None:
    """Writes all channels with numpy's `dtype`, in the format that the extension names."""
    import SimpleITK as sitk

    if str(path).lower().endswith(nifti.SUFFIXES):
        return nifti.write(image, path, dtype)
    with _told_where_it_fails(path):
        sitk.WriteImage(to_itk(image, dtype), str(path), useCompression=compress)


def write_segmentation(image: Image, segments: tuple[Segment, ...], path: str | Path, dtype: str) -> None:
    """Writes the layers of a segmentation with the names of its segments as .nrrd or .seg.nrrd, compressed."""
    with _told_where_it_fails(path):
        nrrd.write_segmentation(image, segments, path, dtype, compress=True)


@contextmanager
def _told_where_it_fails(path: str | Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError:
        raise RegistrationError(
            f"{path} cannot be written: check folder, permission, disk space and extension."
        ) from None
