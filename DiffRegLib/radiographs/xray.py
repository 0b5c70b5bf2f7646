"""X-rays as their files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import check_nifti


@dataclass(frozen=True, eq=False)
class XRay:
    """The content of an X-ray's file: values (rows, columns) float32, row 0 at the top, and its DICOM tags."""

    values: np.ndarray
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        return self.values.shape


def read_xray(path: str | Path, frame: int = 0) -> XRay:
    """Reads any 2D or one-slice image that SimpleITK reads (DICOM, PNG, TIFF, NIfTI, MHA, ...).

    frame: which one of a run of images, from 1; 0 for a file of one image.
    Raises RegistrationError that names the file where it is missing, unreadable, cut off, colored, a run of which no
    frame is chosen, constant or not finite.
    """
    import SimpleITK as sitk

    path = Path(path)
    if not path.is_file():
        raise RegistrationError(f"{path} does not exist or is no file: give one X-ray image.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise RegistrationError(
            f"{path} cannot be read as an image: it is truncated, damaged or of another format."
        ) from None
    check_nifti(path, image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise RegistrationError(f"{path} is a color image: convert it to shades of gray, or give the original X-ray.")
    values = _one_frame(np.squeeze(sitk.GetArrayFromImage(image)), frame, str(path))
    tags = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if "|" in key}
    values = values.astype(np.float32)
    check_values(values, str(path))
    return XRay(values, str(path), tags)


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
