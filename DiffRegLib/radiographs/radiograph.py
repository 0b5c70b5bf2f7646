"""Radiographs: what the unknown grey scale of an X-ray says of attenuation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.field import field_of_view
from DiffRegLib.radiographs.xray import XRay, check_values

Kind = Literal["line integral", "log", "intensity"]
Polarity = Literal["auto", "positive", "negative"]

RELATION, RELATION_SIGN = "0028|1040", "0028|1041"
"""DICOM's PixelIntensityRelationship and its sign."""

PADDING = ("0028|0120", "0028|0121")
"""DICOM's PixelPaddingValue, of what is no part of the image, and PixelPaddingRangeLimit, the other end of a range."""

DARK = 0.08  # of the range of values: a radiograph whose darker half lies below shows intensity, not its logarithm
INWARD_WEIGHT, SKEW_WEIGHT = 6.0, 1.0  # of the two signs of polarity, in units of log odds


@dataclass(frozen=True, eq=False)
class Radiograph:
    """What a camera has seen of a patient, brought to attenuation.

    image: (rows, columns) float32, the larger the more is attenuated: line integrals, or a monotone function of them
        with median 0 and interquartile range 1 inside the mask, 0 outside.
    camera: that took it. mask: (rows, columns) bool, True where the beam reached the detector; None: everywhere.
    kind: what the file's values are; intensities were turned into their negative logarithm.
    sign: 1 where the file's values rise with attenuation, -1 where they fall; confidence: of that, 0.5 to 1.
    """

    image: Tensor
    camera: Camera
    mask: Tensor | None = None
    kind: Kind = "line integral"
    sign: int = 1
    confidence: float = 1.0
    name: str = "X-ray"

    @property
    def inside(self) -> Tensor:
        """(rows, columns) bool: the mask, or all of the image."""
        return torch.ones(self.image.shape, dtype=torch.bool) if self.mask is None else self.mask

    @property
    def report(self) -> str:
        """What was found out about the grey scale, for a person."""
        field = f"{100 * float(self.inside.float().mean()):.0f} % of the image is used"
        if self.kind == "line integral":
            return f"line integrals; {field}"
        what = "intensity of the beam, its logarithm was taken" if self.kind == "intensity" else "logarithmic"
        polarity = "bright" if self.sign > 0 else "dark"
        return f"{what}; bone is {polarity} ({100 * self.confidence:.0f} % sure); {field}"


def prepare(xray: XRay, camera: Camera, line_integrals: bool = False, polarity: Polarity = "auto") -> Radiograph:
    """Finds the field of view and the kind and sign of the grey scale, and brings the values to attenuation.

    line_integrals: the values are line integrals of attenuation already, all of them; nothing is detected.
    polarity: of the X-ray as it is shown, where a person says it: positive, what absorbs more is brighter.

    Polarity has two signs: the way through a body is longest in the middle of the field, so that attenuation falls
    toward its edge; and line integrals of a body have their long tail on the side of the thin parts. Where DICOM states
    the sign of the relation to the beam's intensity, it is believed: it is about the stored values.
    """
    if camera.size != xray.size:
        raise RegistrationError(f"{xray.name} has {xray.size} pixels and its geometry {camera.size}: give that size.")
    check_values(xray.values, xray.name)
    if line_integrals:
        image = torch.from_numpy(xray.values.astype(np.float32))
        return Radiograph(image, camera, name=xray.name)
    values = xray.values.astype(np.float64)
    mask = field_of_view(values) & ~_padding(xray)
    if mask.sum() < 100:
        raise RegistrationError(f"{xray.name} shows nothing but a collimator: give another image.")
    kind, sign, confidence = _grey_scale(xray, mask)
    if polarity != "auto":
        sign, confidence = (1 if polarity == "positive" else -1) * (-1 if xray.inverted else 1), 1.0
        kind = "log" if sign > 0 else kind
    values = -np.log(np.maximum(values, 0) + _faintest(values[mask])) if kind == "intensity" else sign * values
    low, middle, high = np.quantile(values[mask], (0.25, 0.5, 0.75))
    values = np.where(mask, (values - middle) / max(high - low, 1e-6 * float(np.ptp(values[mask]))), 0.0)
    image = torch.from_numpy(values.astype(np.float32))
    return Radiograph(image, camera, torch.from_numpy(mask), kind, sign, confidence, xray.name)


def _grey_scale(xray: XRay, mask: np.ndarray) -> tuple[Kind, int, float]:
    relation, stated = (xray.tags.get(tag, "").strip() for tag in (RELATION, RELATION_SIGN))
    if relation in ("LIN", "LOG") and stated in ("1", "-1"):
        sign = -int(stated)
        return ("intensity" if relation == "LIN" and sign < 0 else "log"), sign, 1.0
    inside = xray.values[mask].astype(np.float64)
    skewness = float(np.mean((inside - inside.mean()) ** 3) / max(inside.std() ** 3, 1e-300))
    odds = INWARD_WEIGHT * _inward(xray.values, mask) - SKEW_WEIGHT * float(np.clip(skewness, -3, 3))
    sign = 1 if odds > 0 else -1
    half = (np.median(inside) - inside.min()) / np.ptp(inside)
    dark = relation == "LIN" or (relation != "LOG" and half < DARK)
    kind: Kind = "intensity" if sign < 0 and dark and inside.min() >= 0 else "log"
    return kind, sign, 1 / (1 + math.exp(-abs(odds)))


def _padding(xray: XRay) -> np.ndarray:
    """(rows, columns) bool: pixels that the file says to fill the image up."""
    stated = [float(xray.tags[tag]) for tag in PADDING if xray.tags.get(tag, "").strip()]
    if PADDING[0] not in xray.tags or not stated:
        return np.zeros(xray.size, dtype=bool)
    return (xray.values >= min(stated)) & (xray.values <= max(stated))


def _inward(values: np.ndarray, mask: np.ndarray) -> float:
    """Rank correlation, -1 to 1, of the values with their distance from the edge of the field."""
    from scipy import ndimage, stats

    whole = ndimage.binary_fill_holes(np.pad(mask, 1))
    depth = ndimage.distance_transform_edt(whole)[1:-1, 1:-1][mask]
    stride = max(1, len(depth) // 20000)
    return float(stats.spearmanr(depth[::stride], values[mask][::stride]).statistic)


def _faintest(inside: np.ndarray) -> float:
    """What is added before the logarithm, so that the darkest pixels do not run away."""
    return max(0.25 * float(np.quantile(inside, 0.05)), 2.5e-4 * float(inside.max()), 1e-12)
