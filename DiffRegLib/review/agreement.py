"""How alike the fixed image and the moving one are, before and after a transform, as a whole and place by place."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.review.field import same_grid
from DiffRegLib.transforms import Transform

BINS = 64
"""Gray levels of each image in the joint histogram."""
WINDOW = 7
"""Voxels along the side of the neighborhood of a local correlation."""
LOCAL_SPACING = 2.5
"""mm between the places of a local correlation, at least."""
FLAT = 1e-3
"""Deviation in a neighborhood, as a fraction of the whole image's, below which nothing can be compared."""


@dataclasses.dataclass(frozen=True)
class Likeness:
    """Of two images over the voxels where both are: Pearson's correlation, and mutual information in bits.

    covered: the share of the fixed image's voxels that were compared.
    """

    correlation: float
    information: float
    covered: float


def likeness(fixed: Image, warped: Image) -> Likeness | None:
    """How alike two images on one grid are; voxels of `warped` that are NaN lie outside. None where nothing is left."""
    a, b = fixed.data[0].numpy().ravel(), warped.data[0].numpy().ravel()
    inside = np.isfinite(b)
    count = int(inside.sum())
    if count < 2:
        return None
    if count < len(a):
        a, b = a[inside], b[inside]
    return Likeness(_correlation(a, b), _information(a, b), count / len(inside))


def warped_or_nan(moving: Image, fixed: Image, transform: Transform | None) -> Image:
    """The moving image on the fixed grid through a transform, NaN where it does not reach."""
    only = Image(moving.data[:1].float(), moving.affine)
    return only.resample(fixed, transform, outside=float("nan"))


def unregistered(moving: Image, fixed: Image) -> Image:
    """The moving image on the fixed grid as it was before, NaN where it does not reach."""
    if same_grid(fixed, moving):
        return Image(moving.data[:1].float(), moving.affine)
    return warped_or_nan(moving, fixed, None)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (x - x.mean(dtype=np.float64).astype(x.dtype) for x in (a, b))
    norm = np.sqrt(np.square(a).sum(dtype=np.float64) * np.square(b).sum(dtype=np.float64))
    return float((a * b).sum(dtype=np.float64) / norm) if norm > 0 else float("nan")


def _information(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of p log2(p / (p_a p_b)) over a joint histogram of equal bins from the least to the greatest value."""
    joint = np.bincount(_bin(a) * BINS + _bin(b), minlength=BINS * BINS).reshape(BINS, BINS) / len(a)
    expected = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    filled = joint > 0
    return float((joint[filled] * np.log2(joint[filled] / expected[filled])).sum())


def _bin(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return np.minimum((values - low) * (BINS / max(high - low, 1e-12)), BINS - 1).astype(np.int32)


def local_correlation(fixed: Image, moving: Image, transform: Transform | None) -> Image:
    """(1, D, H, W): correlation in cubes of 7 voxels of at least 2.5 mm, NaN where one image is flat or missing."""
    from scipy.ndimage import uniform_filter

    grid = local_grid(fixed)
    a = Image(fixed.data[:1].float(), fixed.affine).resample(grid, outside="border").data[0].double().numpy()
    b = Image(moving.data[:1].float(), moving.affine).resample(grid, transform, outside=float("nan")).data[0].double()
    missing = b.isnan().numpy()
    b = b.nan_to_num().numpy()

    def mean(x: np.ndarray) -> np.ndarray:
        return uniform_filter(x, WINDOW, mode="nearest")

    whole = [float(x[~missing].var()) if (~missing).any() else 0.0 for x in (a, b)]
    mean_a, mean_b = mean(a), mean(b)
    variances = [mean(a * a) - mean_a**2, mean(b * b) - mean_b**2]
    flat = missing | (mean(missing.astype(np.float64)) > 0)
    for variance, of_all in zip(variances, whole):
        flat |= variance <= FLAT**2 * of_all + 1e-12
    product = np.where(flat, 1.0, variances[0] * variances[1])
    found = np.where(flat, np.nan, (mean(a * b) - mean_a * mean_b) / np.sqrt(product))
    return Image(torch.from_numpy(found.clip(-1, 1).astype(np.float32))[None], grid.affine)


def local_grid(fixed: Image) -> Geometry:
    """The grid of local measures: the fixed image's, or a coarser one over the same box."""
    return fixed.geometry.resized(max(LOCAL_SPACING, float(fixed.spacing.max())))
