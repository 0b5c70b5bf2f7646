"""One picture that shows whether a registration is right: before, after, how it deforms, how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.review.metrics import target_registration_error
from DiffRegLib.review.panels import draw_displacement, draw_grid, draw_trace, draw_veil, draw_volume_change, frame
from DiffRegLib.review.subjects import FIXED, IDENTITY, MOVING, CloudPair, Pair, pair_of, show
from DiffRegLib.review.views import CORONAL, VIEWS, Box
from DiffRegLib.transforms import Transform

WIDTH = 13.0  # inches
DPI = 120


def overview(path: str | Path, transform: Transform, fixed: Any, moving: Any, **details: Any) -> None:
    """Writes the picture of `overview_figure` as PNG; raises `RegistrationError` if the file cannot be written."""
    figure = overview_figure(transform, fixed, moving, **details)
    try:
        figure.savefig(path, dpi=DPI, format="png")
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({error.strerror}): choose another folder.") from None


def overview_figure(
    transform: Transform,
    fixed: Any,
    moving: Any,
    *,
    labels: bool = False,
    title: str = "",
    note: str = "",
    landmarks: tuple[Tensor, Tensor] | None = None,
    trace: Sequence[Any] = (),
    support: Any = None,
) -> Any:
    """A matplotlib `Figure`; nothing of pyplot is touched.

    transform: fixed -> moving, RAS mm. fixed, moving: two `Image`s (label maps if `labels`, then as outlines), or two
    clouds (`PointCloud` or (N, 3) RAS mm). Images are blended in the fixed frame; clouds are shown in the moving frame,
    the fixed points where they come to lie. landmarks: fixed and moving (L, 3); their mean error stands in the heading,
    followed by `note`. trace: rows of `TraceRow`. The cuts pass where both sides differ most before registration, or
    where the cloud is densest. support: of the field, see `Registration`; what it does not cover is veiled.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    transform = transform.to("cpu")
    pair = pair_of(fixed, moving, labels)
    with torch.no_grad():
        box = pair.box(transform)
        heights = _heights(box)
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        head, overlays, evidence = figure.subfigures(3, 1, height_ratios=heights)
        _draw_head(head, title, "; ".join(t for t in (_errors(transform, landmarks), note, _veil(support)) if t))
        _draw_overlays(overlays, pair, box, transform, support)
        _draw_evidence(evidence, pair, box, transform, trace, support)
    return figure


def _heights(box: Box) -> list[float]:
    """Inches of the heading, the two rows of overlays together, and the row below."""
    x, y, z = box.size.tolist()
    overlay = (WIDTH - 0.8) * max(y, z) / sum(_widths(box)) + 0.25
    evidence = (WIDTH / 4 - 0.9) * z / x + 0.75
    return [0.75, 2 * min(max(overlay, 2.0), 4.6), min(max(evidence, 2.6), 3.8)]


def _widths(box: Box) -> list[float]:
    """Relative widths of the three views, in mm, none too narrow for its title."""
    sides = [float(box.size[view.across]) for view in VIEWS]
    return [max(side, 0.5 * max(sides)) for side in sides]


def _errors(transform: Transform, landmarks: tuple[Tensor, Tensor] | None) -> str:
    if landmarks is None:
        return ""
    before, after = (float(target_registration_error(t, *landmarks).mean()) for t in (IDENTITY, transform))
    return f"mean error of {len(landmarks[0])} landmarks: {before:.2f} mm before, {after:.2f} mm after"


def _veil(support: Any) -> str:
    """What the veil means, in a few words."""
    return "" if support is None else f"veiled: more than {support.reach:.0f} mm from data, the field {support.outside}"


def _draw_head(head: Any, title: str, subtitle: str) -> None:
    name = head.text(0.012, 0.66, title or "Registration", fontsize=15, fontweight="bold", va="center")
    _fit(head, name, 0.65)
    _fit(head, head.text(0.012, 0.22, subtitle, fontsize=11, va="center", color="0.25"), 0.976)
    words = (("both agree: gray to white", "0.45"), ("moving", MOVING * 0.95), ("fixed", FIXED))
    for x, (word, color) in zip((0.988, 0.79, 0.725), words, strict=True):
        head.text(x, 0.66, word, fontsize=11, fontweight="bold", color=color, va="center", ha="right")


def _fit(head: Any, text: Any, share: float) -> None:
    """Makes a text smaller where it is wider than its share of the heading."""
    width = text.get_window_extent(head.figure.canvas.get_renderer()).width / head.bbox.width
    text.set_fontsize(text.get_fontsize() * min(1.0, share / width) if width else text.get_fontsize())


def _draw_overlays(part: Any, pair: Pair, box: Box, transform: Transform, support: Any) -> None:
    rows = part.subplots(2, 3, width_ratios=_widths(box))
    for axes_row, name, shown in zip(rows, ("before", "after"), (IDENTITY, transform), strict=True):
        for axes, view in zip(axes_row, VIEWS, strict=True):
            show(axes, pair.colors(box, view, shown), box, view)
            if shown is transform and not isinstance(pair, CloudPair):
                draw_veil(axes, box, view, support)
            cut = view.cut_name(float(box.cuts[view.normal]))
            if isinstance(pair, CloudPair):
                cut += f" ± {pair.thickness(box, view) / 2:.0f} mm"
            frame(axes, box, view, cut if name == "before" else "")
        axes_row[0].set_ylabel(name, fontsize=13, fontweight="bold")


def _draw_evidence(part: Any, pair: Pair, box: Box, transform: Transform, trace: Sequence[Any], support: Any) -> None:
    grid, displacement, volume, loss = part.subplots(1, 4)
    draw_grid(grid, pair, box, CORONAL, transform)
    draw_displacement(displacement, box, CORONAL, transform)
    draw_volume_change(volume, box, CORONAL, transform)
    for axes in (displacement, volume):
        draw_veil(axes, box, CORONAL, support)
    draw_trace(loss, trace)
