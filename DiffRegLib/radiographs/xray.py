"""X-rays: reading their files, and what their unknown grey scale says of attenuation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import check_nifti
from DiffRegLib.radiographs.field import field_of_view

Kind = Literal["line integral", "log", "intensity"]

RELATION, RELATION_SIGN = "0028|1040", "0028|1041"
"""DICOM's PixelIntensityRelationship and its sign."""

DARK = 0.08  # of the range of values: a radiograph whose darker half lies below shows intensity, not its logarithm
INWARD_WEIGHT, SKEW_WEIGHT = 6.0, 1.0  # of the two signs of polarity, in units of log odds


@dataclass(frozen=True, eq=False)
class Film:
    """The content of an X-ray's file: values (rows, columns) float32, row 0 at the top, and its DICOM tags."""

    values: np.ndarray
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        return self.values.shape


@dataclass(frozen=True, eq=False)
class XRay:
    """A radiograph ready to be registered.

    image: (rows, columns) float32, the larger the more is attenuated: line integrals, or a monotone function of them
        with median 0 and interquartile range 1 inside the mask, 0 outside.
    camera: that took it. mask: (rows, columns) bool, True where the beam reached the detector.
    kind: what the file's values are; intensities were turned into their negative logarithm.
    sign: 1 where the file's values rise with attenuation, -1 where they fall; confidence: of that, 0.5 to 1.
    """

    image: Tensor
    camera: Camera
    mask: Tensor
    kind: Kind
    sign: int
    confidence: float
    name: str

    @property
    def report(self) -> str:
        """What was found out about the grey scale, for a person."""
        field = f"{100 * float(self.mask.float().mean()):.0f} % of the image is used"
        if self.kind == "line integral":
            return f"line integrals; {field}"
        what = "intensity of the beam, its logarithm was taken" if self.kind == "intensity" else "logarithmic"
        polarity = "bright" if self.sign > 0 else "dark"
        return f"{what}; bone is {polarity} ({100 * self.confidence:.0f} % sure); {field}"


def read_xray(path: str | Path, frame: int = 0) -> Film:
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
    _check_values(values, str(path))
    return Film(values, str(path), tags)


def _one_frame(values: np.ndarray, frame: int, name: str) -> np.ndarray:
    shape = " x ".join(map(str, reversed(values.shape)))
    if values.ndim not in (2, 3) or min(values.shape[-2:]) < 8:
        raise RegistrationError(f"{name} is an image of {shape} pixels: give a single 2D image, one file a view.")
    frames = values if values.ndim == 3 else values[None]
    if values.ndim == 3 and frame == 0:
        raise RegistrationError(
            f"{name} is a run of {len(frames)} frames ({shape} pixels): say which one with --frame, from 1 to "
            f"{len(frames)}, or give a single 2D image."
        )
    if frame > len(frames):
        raise RegistrationError(
            f"{name} has {len(frames)} frame{'s' * (len(frames) > 1)}, --frame is {frame}: give a smaller number."
        )
    return frames[max(frame, 1) - 1]


def prepare(film: Film, camera: Camera, line_integrals: bool = False) -> XRay:
    """Finds the field of view and the kind and sign of the grey scale, and brings the values to attenuation.

    line_integrals: the values are line integrals of attenuation already, all of them; nothing is detected.

    Polarity has two signs: the way through a body is longest in the middle of the field, so that attenuation falls
    toward its edge; and line integrals of a body have their long tail on the side of the thin parts. Where DICOM states
    the relation to the beam's intensity, it is believed.
    """
    if camera.size != film.size:
        raise RegistrationError(f"{film.name} has {film.size} pixels and its geometry {camera.size}: give that size.")
    _check_values(film.values, film.name)
    if line_integrals:
        image = torch.from_numpy(film.values.astype(np.float32))
        return XRay(image, camera, torch.ones(film.size, dtype=torch.bool), "line integral", 1, 1.0, film.name)
    values = film.values.astype(np.float64)
    mask = field_of_view(values)
    if mask.sum() < 100:
        raise RegistrationError(f"{film.name} shows nothing but a collimator: give another image.")
    kind, sign, confidence = _grey_scale(film, mask)
    values = -np.log(np.maximum(values, 0) + _faintest(values[mask])) if kind == "intensity" else sign * values
    low, middle, high = np.quantile(values[mask], (0.25, 0.5, 0.75))
    values = np.where(mask, (values - middle) / max(high - low, 1e-6 * float(np.ptp(values[mask]))), 0.0)
    image = torch.from_numpy(values.astype(np.float32))
    return XRay(image, camera, torch.from_numpy(mask), kind, sign, confidence, film.name)


def _grey_scale(film: Film, mask: np.ndarray) -> tuple[Kind, int, float]:
    relation = film.tags.get(RELATION, "").strip()
    if relation in ("LIN", "LOG"):
        stated = film.tags.get(RELATION_SIGN, "").strip()
        sign = -int(stated) if stated in ("1", "-1") else (-1 if relation == "LIN" else 1)
        return ("intensity" if relation == "LIN" and sign < 0 else "log"), sign, 1.0
    inside = film.values[mask].astype(np.float64)
    skewness = float(np.mean((inside - inside.mean()) ** 3) / max(inside.std() ** 3, 1e-300))
    odds = INWARD_WEIGHT * _inward(film.values, mask) - SKEW_WEIGHT * float(np.clip(skewness, -3, 3))
    sign = 1 if odds > 0 else -1
    half = (np.median(inside) - inside.min()) / np.ptp(inside)
    kind: Kind = "intensity" if sign < 0 and half < DARK and inside.min() >= 0 else "log"
    return kind, sign, 1 / (1 + math.exp(-abs(odds)))


def _inward(values: np.ndarray, mask: np.ndarray) -> float:
    """Rank correlation, -1 to 1, of the values with their distance from the edge of the field."""
    from scipy import ndimage, stats

    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask]
    stride = max(1, len(depth) // 20000)
    return float(stats.spearmanr(depth[::stride], values[mask][::stride]).statistic)


def _faintest(inside: np.ndarray) -> float:
    """What is added before the logarithm, so that the darkest pixels do not run away."""
    return max(0.25 * float(np.quantile(inside, 0.05)), 2.5e-4 * float(inside.max()), 1e-12)


def _check_values(values: np.ndarray, name: str) -> None:
    broken = int((~np.isfinite(values)).sum())
    if broken:
        raise RegistrationError(f"{name} has {broken} pixels that are NaN or infinite: replace them by numbers.")
    if float(values.max()) == float(values.min()):
        raise RegistrationError(f"{name} is constant ({float(values.min()):g}): give an image that shows the patient.")
