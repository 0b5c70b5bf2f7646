"""One picture that shows whether a pose is right: the X-ray beside the CT's radiographs before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.review.overlay import LIMIT, contours, difference, display
from DiffRegLib.review.panels import draw_trace

WIDTH, DPI = 14.0, 110  # inches, dots an inch
CONTOUR = (1.0, 0.62, 0.1)
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
    shown = axes[4].imshow(difference(xray, after, mask), cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT)
    row.colorbar(shown, ax=axes[4], fraction=0.05, pad=0.02, label="local standard deviations")
    for panel, title in zip(axes, TITLES, strict=True):
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_title(title if first else "", fontsize=10)
    axes[0].set_ylabel(pair.name, fontsize=10)


def _overlay(gray: np.ndarray, rendered: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The X-ray in gray with the edges of the rendered image on it."""
    colors = np.repeat(gray[..., None], 3, -1)
    colors[contours(rendered) & mask] = CONTOUR
    return colors
