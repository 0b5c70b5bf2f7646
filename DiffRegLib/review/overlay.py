"""What is laid over an X-ray so that the eye sees whether the CT's radiograph fits.

Images are (rows, columns), the larger a value the more is attenuated, bone bright; a mask is True where the beam
reached the detector. On one core of an EPYC server, at 256 x 256 pixels: blend and red-cyan 0.4 ms, checkerboard 2 ms,
difference 6 ms, contours 6 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from DiffRegLib.errors import RegistrationError

Colors = Literal["gray", "cyan", "contour", "diverging"]

MODES = ("blend", "red-cyan", "contours", "checkerboard", "difference")

SMOOTH, FAINT = 0.006, 0.6  # blur of contours as a fraction of the width; their least slope, of the steepest
WINDOW, FLOOR = 0.03, 0.3  # neighborhood of the difference, fraction of the width; its least deviation
SOBEL = 8.0  # slope that a Sobel filter gives for a derivative of one
METAL = 2.5  # interquartile ranges above the upper quartile, which anatomy does not reach
LIMIT = 2.5  # local standard deviations at which the color of a difference is full
STEPS, SAMPLED = 64, 16384  # quantiles that are matched between tiles, of so many pixels
BLOCK = 3.0  # blocks of pixels that a wide blur averages first, in one standard deviation


@dataclass(frozen=True, eq=False)
class Overlay:
    """A picture to lay over the X-ray.

    values: (rows, columns) float32. low, high: the ends of the gray or color scale `colors`.
    visible: values outside of these two are transparent; None shows all.
    add: whether it is added to what lies below (which is tinted red then) rather than blended.
    """

    values: np.ndarray
    low: float
    high: float
    colors: Colors
    visible: tuple[float, float] | None = None
    add: bool = False


def overlay(mode: str, drr: np.ndarray, xray: np.ndarray, mask: np.ndarray, tiles: int = 8) -> Overlay:
    """How a radiograph of the CT is shown over an X-ray of the same size.

    blend: the radiograph, its window from inside the mask. red-cyan: the same in cyan, to be added to a red X-ray, so
    that what coincides is gray. contours: 1 on its strongest edges, the rest is transparent. checkerboard: the
    radiograph in every second of `tiles` squares side by side, its values brought to those of the X-ray, whose `window`
    it takes. difference: X-ray minus radiograph, both free of local brightness and contrast.

    Raises RegistrationError for an unknown mode and for sizes that differ.
    """
    if mode not in MODES:
        raise RegistrationError(f"There is no overlay {mode!r}: choose one of {', '.join(MODES)}.")
    if not drr.shape == xray.shape == mask.shape or drr.ndim != 2:
        raise RegistrationError(
            f"Radiograph, X-ray and mask have the sizes {drr.shape}, {xray.shape} and {mask.shape}: give one size."
        )
    drr, xray = (np.asarray(image, dtype=np.float32) for image in (drr, xray))
    if mode == "checkerboard":
        return _checkerboard(drr, xray, mask, tiles)
    if mode in ("blend", "red-cyan"):
        low, high = window(drr, mask)
        return Overlay(drr, low, high, "gray" if mode == "blend" else "cyan", add=mode == "red-cyan")
    if mode == "contours":
        return Overlay((contours(drr) & mask).astype(np.float32), 0.0, 1.0, "contour", (0.5, 1.5))
    shown = np.nan_to_num(np.clip(difference(xray, drr, mask), -LIMIT, LIMIT), nan=-2 * LIMIT)
    return Overlay(shown, -LIMIT, LIMIT, "diverging", (-LIMIT, LIMIT))


def _checkerboard(drr: np.ndarray, xray: np.ndarray, mask: np.ndarray, tiles: int) -> Overlay:
    matched = _matched(drr, xray, mask)
    side = drr.shape[1] / max(1, tiles)
    row, column = (((np.arange(n) + 0.5) // side).astype(int) for n in drr.shape)
    shown = (row[:, None] + column) % 2 == 1
    lowest, highest = float(matched.min()), float(matched.max())
    values = np.where(shown, matched, np.float32(lowest - max(1.0, highest - lowest)))
    return Overlay(values, *window(xray, mask), "gray", (lowest, highest))


def _matched(image: np.ndarray, like: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with the quantiles that the other has inside the mask; the order of its values stays."""
    share = np.linspace(0, 1, STEPS)
    ours, theirs = (np.quantile(_sampled(values, mask), share) for values in (image, like))
    ours, first = np.unique(ours, return_index=True)
    return np.interp(image, ours, theirs[first]).astype(np.float32)


def _sampled(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    inside = _inside(image, mask)
    return inside[:: max(1, len(inside) // SAMPLED)]


def _inside(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The values inside the mask, or all where there is no mask or nothing inside."""
    return image[mask] if mask is not None and mask.any() else image.ravel()


def window(image: np.ndarray, mask: np.ndarray | None = None) -> tuple[float, float]:
    """What is shown black and white: percentiles 1 to 99.5 inside the mask; metal beyond the window is white."""
    low, lower, upper, high = map(float, np.quantile(_inside(image, mask), (0.01, 0.25, 0.75, 0.995)))
    high = min(high, upper + METAL * (upper - lower)) if upper > lower else high
    return low, high if high > low else low + 1.0


def display(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Gray values in [0, 1] of line integrals in their `window`, 0 outside the mask."""
    low, high = window(image, mask)
    gray = np.clip((image - low) / (high - low), 0, 1)
    return gray if mask is None else np.where(mask, gray, 0.0)


def difference(xray: np.ndarray, rendered: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """X-ray minus rendered image, both without the mean and deviation of each pixel's neighborhood; NaN outside."""
    sigma = max(1.0, WINDOW * xray.shape[1])
    normalized = [_locally_normalized(image, mask, sigma) for image in (xray, rendered)]
    return np.where(mask, normalized[0] - normalized[1], np.nan)


def contours(rendered: np.ndarray) -> np.ndarray:
    """(rows, columns) bool: the strongest edges of a radiograph, one pixel wide, faint bones beside dark ones alike."""
    from scipy.ndimage import gaussian_gradient_magnitude
    from skimage.feature import canny

    everywhere = np.ones(rendered.shape, dtype=bool)
    even = _locally_normalized(rendered, everywhere, max(2.0, 2 * WINDOW * rendered.shape[1]))
    sigma = max(1.0, SMOOTH * rendered.shape[1])
    steepest = SOBEL * float(np.quantile(gaussian_gradient_magnitude(even, sigma), 0.99))
    return canny(even, sigma, low_threshold=FAINT / 2 * steepest, high_threshold=FAINT * steepest)


def _locally_normalized(image: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Not by `similarity.LocalNormalization`, whose exact Gaussian takes longer than a frame where it is this wide."""
    weight = np.maximum(blurred(mask.astype(image.dtype), sigma), 1e-3)
    centered = np.where(mask, image - blurred(np.where(mask, image, 0), sigma) / weight, 0)
    variance = np.maximum(blurred(centered**2, sigma), 0) / weight
    floor = FLOOR * np.sqrt((centered**2).sum() / max(1, int(mask.sum()))) + 1e-12
    return centered / (np.sqrt(variance) + floor)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a floating image with a standard deviation in pixels, weights renormalized at the border.

    Made for wide blurs, whose time does not grow with sigma: blocks of a third of it are added up, the sums are
    blurred, and what comes out is interpolated. All of it is the work of one thread, so that no other is waited for.
    """
    from scipy.ndimage import gaussian_filter1d

    shape, block = image.shape, max(1, int(sigma / BLOCK))
    rest = np.sqrt(sigma**2 - (block**2 - 1) / 4) / block  # adding and interpolating blur as well
    for axis, n in enumerate(shape):
        starts = np.arange(0, n, block)
        counts = np.minimum(block, n - starts).astype(float)
        sums = np.add.reduceat(image, starts, axis) if block > 1 else image
        share = gaussian_filter1d(counts, rest, mode="constant").reshape((-1, 1) if axis == 0 else (1, -1))
        image = gaussian_filter1d(sums, rest, axis, mode="constant") / share.astype(image.dtype)
    if block == 1:
        return image
    down, across = (_interpolation(n, block, image.dtype.char) for n in shape)
    return _applied(down, across, image)


def reduced(image: np.ndarray, factor: float) -> np.ndarray:
    """Means over pixels `factor` times as wide, which need not be whole: the image that `Camera.resized` describes."""
    if factor == 1:
        return image
    down, across = (_shares(n, factor, np.result_type(image, np.float32).char) for n in image.shape)
    return _applied(down, across, image)


def _applied(down: Any, across: Any, image: np.ndarray) -> np.ndarray:
    """down image across^T for two sparse matrices."""
    return np.ascontiguousarray((across @ (down @ image).T).T)


@lru_cache(maxsize=16)
def _interpolation(n: int, block: int, kind: str) -> Any:
    """(n, blocks) sparse matrix from the middles of blocks of pixels along an axis to its n pixels, linear."""
    from scipy.sparse import csr_array

    starts = np.arange(0, n, block)
    middles = starts + (np.minimum(block, n - starts) - 1) / 2
    place = np.interp(np.arange(n), middles, np.arange(len(middles)))
    return csr_array(np.maximum(1 - np.abs(place[:, None] - np.arange(len(middles))), 0).astype(kind))


@lru_cache(maxsize=16)
def _shares(n: int, factor: float, kind: str) -> Any:
    """(fewer, n) sparse matrix: the share of every pixel along an axis in each of the wider ones."""
    from scipy.sparse import csr_array

    low = np.arange(int(n / factor + 1e-9))[:, None] * factor
    pixel = np.arange(n)
    overlap = np.minimum(pixel + 1, low + factor) - np.maximum(pixel, low)
    return csr_array((np.maximum(overlap, 0) / factor).astype(kind))
