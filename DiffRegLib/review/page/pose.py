"""One pose of a report: each X-ray beside the CT's radiographs, its contours, and the uncertainty as an ellipse."""

from __future__ import annotations

import numpy as np

from DiffRegLib.review.overlay import LIMIT, contours, difference, display
from DiffRegLib.review.page import numbers
from DiffRegLib.review.page.case import decision, trace_plot
from DiffRegLib.review.page.html import light, section, text
from DiffRegLib.review.page.images import image
from DiffRegLib.review.poses import PoseReview, PoseView, ellipse

BEFORE, AFTER = (0.2, 0.65, 1.0), (1.0, 0.62, 0.1)
SMALLEST = 0.04  # of the picture's width, below which an ellipse is drawn enlarged
ENLARGED = (1, 10, 100)


def pose_section(review: PoseReview, key: str) -> str:
    """The section of a reviewed pose; `key` tells it from the others of the report."""
    case = review.case
    reason = case.facts.get("reason")
    said = ""
    if reason:
        said = f'<ul class="findings"><li>{light(review.light)} {text(reason[0].upper() + reason[1:])}.</li></ul>'
    views = "".join(_view(review, view) for view in case.views)
    content = [
        said,
        section("Numbers", numbers.scores(review)),
        section("X-rays", views),
        section("Origin", numbers.facts(dict(case.provenance)), trace_plot(case.trace)),
    ]
    return (
        f'<article class="case" id="{key}"><h2>{light(review.light)} {text(case.name)}</h2>'
        f"{decision(key)}{''.join(content)}</article>"
    )


def _view(review: PoseReview, view: PoseView) -> str:
    pair = view.pair
    xray, before, after = (one.detach().cpu().double().numpy() for one in (pair.xray, pair.before, pair.after))
    mask = pair.mask.cpu().numpy()
    gray = display(xray, mask)
    changed = np.nan_to_num(difference(xray, after, mask) / (2 * LIMIT)) + 0.5
    pictures = (
        (gray, "X-ray", ""),
        (display(after), "radiograph of the CT at the end", ""),
        (changed, "difference without local brightness and contrast", ""),
        (_drawn(gray, contours(before) & mask, BEFORE), "contours of the CT before", ""),
        (_drawn(gray, contours(after) & mask, AFTER), "contours of the CT after", ""),
        (gray, *_ellipse(review, view)),
    )
    figures = "".join(
        f'<figure class="view"><div class="stack" style="aspect-ratio:{gray.shape[1]} / {gray.shape[0]}">'
        f"{image(pixels[::-1], name)}{drawing}</div><figcaption>{text(name)}</figcaption></figure>"
        for pixels, name, drawing in pictures
    )
    return f'<h4>{text(pair.name)}</h4><div class="views">{figures}</div>'


def _drawn(gray: np.ndarray, edges: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    colors = np.repeat(gray[..., None], 3, -1)
    colors[edges] = color
    return colors


def _ellipse(review: PoseReview, view: PoseView) -> tuple[str, str]:
    """Caption and drawing."""
    found = ellipse(review.case, view)
    if found is None:
        return "uncertainty: unknown", ""
    rows, columns = view.pair.xray.shape
    times = next((t for t in ENLARGED if found.axes[0] * t > SMALLEST * columns), ENLARGED[-1])
    place = f'cx="{found.column:.2f}" cy="{found.row:.2f}"'
    half = f'rx="{max(found.axes[0] * times, 0.5):.2f}" ry="{max(found.axes[1] * times, 0.5):.2f}"'
    turn = f'transform="rotate({found.degrees:.2f} {found.column:.2f} {found.row:.2f})"'
    drawing = (
        f'<svg viewBox="-0.5 -0.5 {columns} {rows}" preserveAspectRatio="none" class="drawing">'
        f'<ellipse {place} {half} {turn} fill="none" stroke="#ff9d1a" stroke-width="{columns / 200:.2f}"/></svg>'
    )
    enlarged = "" if times == 1 else f", drawn {times} times as large"
    return f"uncertainty of the center of the CT, 95 %{enlarged}", drawing
