"""One picture that shows whether a pose is right: the X-ray beside the CT's radiographs before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.review.panels import draw_trace

WIDTH, DPI = 14.0, 110  # inches, dots an inch
CONTOUR = (1.0, 0.62, 0.1)
SMOOTH, FAINT = 0.006, 0.6  # blur of contours as a fraction of the width; their least slope, of the steepest
WINDOW, FLOOR = 0.03, 0.3  # neighborhood of the difference, fraction of the width; its least deviation
SOBEL = 8.0  # slope that a Sobel filter gives for a derivative of one
METAL = 2.5  # interquartile ranges above the upper quartile, which anatomy does not reach
TITLES = ("X-ray", "CT at the start", "CT at the end", "contours of the CT at the end", "difference")


@dataclasses.dataclass(frozen=True, eq=False)
class RadiographPair:
    """One view, all (rows, columns): the X-ray and its mask, and the CT's line integrals at the start and at the end.

    The larger a value the more is attenuated; it is shown brighter.
    """

    name: str
    xray: Tensor
    mask: Tensor
    before: Tensor
    after: Tensor


def pose_overview(
    path: str | Path, pairs: Sequence[RadiographPair], title: str = "", note: str = "", trace: Sequence[Any] = ()
) -> None:
    """Writes the picture of `pose_figure` as PNG; raises `RegistrationError` if the file cannot be written."""
    figure = pose_figure(pairs, title, note, trace)
    try:
        figure.savefig(path, dpi=DPI, format="png")
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({error.strerror}): choose another folder.") from None


def pose_figure(pairs: Sequence[RadiographPair], title: str = "", note: str = "", trace: Sequence[Any] = ()) -> Any:
    """A matplotlib `Figure`: a row a view, below it the loss. title, note: the heading; trace: rows of `TraceRow`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [0.75, *(WIDTH / 5 * pair.xray.shape[0] / pair.xray.shape[1] + 0.35 for pair in pairs), 2.1]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    head, *rows, below = figure.subfigures(len(heights), 1, height_ratios=heights)
    head.text(0.012, 0.66, title or "Pose", fontsize=15, fontweight="bold", va="center")
    head.text(0.012, 0.22, note, fontsize=11, va="center", color="0.25")
    for row, pair in zip(rows, pairs, strict=True):
        _draw_row(row, pair, first=pair is pairs[0])
    draw_trace(below.subplots(), trace)
    return figure


def _draw_row(row: Any, pair: RadiographPair, first: bool) -> None:
    axes = row.subplots(1, 5)
    xray, before, after = (image.detach().cpu().double().numpy() for image in (pair.xray, pair.before, pair.after))
    mask = pair.mask.cpu().numpy()
    gray = display(xray, mask)
    for panel, image in zip(axes[:3], (gray, display(before), display(after)), strict=True):
        panel.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes[3].imshow(_overlay(gray, after, mask))
    shown = axes[4].imshow(difference(xray, after, mask), cmap="RdBu_r", vmin=-2.5, vmax=2.5)
    row.colorbar(shown, ax=axes[4], fraction=0.05, pad=0.02, label="local standard deviations")
    for panel, title in zip(axes, TITLES, strict=True):
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_title(title if first else "", fontsize=10)
    axes[0].set_ylabel(pair.name, fontsize=10)


def display(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Gray values in [0, 1] of line integrals: percentiles 1 to 99.5 inside the mask, metal beyond the window white."""
    inside = image[mask] if mask is not None else image
    low, lower, upper, high = np.quantile(inside, (0.01, 0.25, 0.75, 0.995))
    high = min(high, upper + METAL * (upper - lower)) if upper > lower else high
    gray = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
    return gray if mask is None else np.where(mask, gray, 0.0)


def difference(xray: np.ndarray, rendered: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """X-ray minus rendered image, both without the mean and deviation of each pixel's neighborhood; NaN outside."""
    sigma = max(1.0, WINDOW * xray.shape[1])
    normalized = [_locally_normalized(image, mask, sigma) for image in (xray, rendered)]
    return np.where(mask, normalized[0] - normalized[1], np.nan)


def _locally_normalized(image: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    weight = np.maximum(gaussian_filter(mask.astype(float), sigma), 1e-3)
    centered = np.where(mask, image - gaussian_filter(np.where(mask, image, 0.0), sigma) / weight, 0.0)
    variance = gaussian_filter(centered**2, sigma) / weight
    floor = FLOOR * np.sqrt((centered[mask] ** 2).mean()) + 1e-12
    return centered / (np.sqrt(variance) + floor)


def _overlay(gray: np.ndarray, rendered: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The X-ray in gray with the edges of the rendered image on it."""
    colors = np.repeat(gray[..., None], 3, -1)
    colors[contours(rendered) & mask] = CONTOUR
    return colors


def contours(rendered: np.ndarray) -> np.ndarray:
    """(rows, columns) bool: the strongest edges of a radiograph, one pixel wide, faint bones beside dark ones alike."""
    from scipy.ndimage import gaussian_gradient_magnitude
    from skimage.feature import canny

    everywhere = np.ones(rendered.shape, dtype=bool)
    even = _locally_normalized(rendered, everywhere, max(2.0, 2 * WINDOW * rendered.shape[1]))
    sigma = max(1.0, SMOOTH * rendered.shape[1])
    steepest = SOBEL * float(np.quantile(gaussian_gradient_magnitude(even, sigma), 0.99))
    return canny(even, sigma, low_threshold=FAINT / 2 * steepest, high_threshold=FAINT * steepest)
