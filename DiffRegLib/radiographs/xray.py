"""X-rays as their files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import nifti
from DiffRegLib.files.dicom import read_frames
from DiffRegLib.files.pictures import read_picture
from DiffRegLib.files.series import is_dicom


@dataclass(frozen=True, eq=False)
class XRay:
    """The content of an X-ray's file: values (rows, columns) float32 as stored, row 0 at the top, and its DICOM tags.

    inverted: whether low values are shown bright (MONOCHROME1, white is zero).
    """

    values: np.ndarray
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    inverted: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self.values.shape


def read_xray(path: str | Path, frame: int = 0) -> XRay:
    """Reads any 2D or one-slice image (DICOM, PNG, TIFF, NIfTI, MHA, ...); of DICOM the values as they are stored.

    frame: which one of a run of images, from 1; 0 for a file of one image. Its tags are those of this frame.
    Raises RegistrationError that names the file where it is missing, unreadable, cut off, colored, a run of which no
    frame is chosen, constant or not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise RegistrationError(f"{path} does not exist or is no file: give one X-ray image.", path=path)
    if is_dicom(path):
        run = read_frames(path)
        values = _one_frame(run.values[0] if len(run.values) == 1 else run.values, frame, str(path))
        tags, inverted = run.tags[max(frame, 1) - 1], run.inverted
    else:
        values, inverted = _picture(path)
        values, tags = _one_frame(values, frame, str(path)), {}
    values = values.astype(np.float32)
    check_values(values, str(path))
    return XRay(values, str(path), tags, inverted)


def _picture(path: Path) -> tuple[np.ndarray, bool]:
    """(rows, columns) or (F, rows, columns) of a file without DICOM tags, and whether low values are shown bright."""
    import SimpleITK as sitk

    if path.name.lower().endswith(nifti.SUFFIXES):
        stored = nifti.read_voxels(path).data
        return np.squeeze(stored[0] if len(stored) == 1 else np.moveaxis(stored, 0, -1)), False
    if picture := read_picture(path):
        return picture
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise RegistrationError(
            f"{path} cannot be read as an image: it is truncated, damaged or of another format.", path=path
        ) from None
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise RegistrationError(
            f"{path} is a color image: convert it to shades of gray, or give the original X-ray.", path=path
        )
    return np.squeeze(sitk.GetArrayFromImage(image)), False


def _one_frame(values: np.ndarray, frame: int, name: str) -> np.ndarray:
    shape = " x ".join(map(str, reversed(values.shape)))
    if values.ndim not in (2, 3) or min(values.shape[-2:]) < 8:
        raise RegistrationError(f"{name} is an image of {shape} pixels: give a single 2D image, one file a view.")
    frames = values if values.ndim == 3 else values[None]
    if values.ndim == 3 and frame == 0:
        raise RegistrationError(
            f"{name} is a run of {len(frames)} frames ({shape} pixels): say which one with {{frame}}, from 1 to "
            f"{len(frames)}, or give a single 2D image.",
            option="frame",
            path=name,
        )
    if frame > len(frames):
        raise RegistrationError(
            f"{name} has {len(frames)} frame{'s' * (len(frames) > 1)}, {{frame}} is {frame}: give a smaller number.",
            option="frame",
            path=name,
        )
    return frames[max(frame, 1) - 1]


def check_values(values: np.ndarray, name: str) -> None:
    """Raises RegistrationError where pixels are no numbers, or all the same."""
    broken = int((~np.isfinite(values)).sum())
    if broken:
        raise RegistrationError(f"{name} has {broken} pixels that are NaN or infinite: replace them by numbers.")
    if float(values.max()) == float(values.min()):
        raise RegistrationError(f"{name} is constant ({float(values.min()):g}): give an image that shows the patient.")
