"""One pose of a report: each X-ray beside the CT's radiographs, its contours, and the uncertainty as an ellipse."""

from __future__ import annotations

from DiffRegLib.review.page import numbers
from DiffRegLib.review.page.case import decision, trace_plot
from DiffRegLib.review.page.html import light, section, text
from DiffRegLib.review.page.images import image
from DiffRegLib.review.pose_pictures import PosePicture, pose_pictures
from DiffRegLib.review.poses import Ellipse, PoseReview, PoseView


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
    figures = "".join(_figure(picture) for picture in pose_pictures(review, view))
    return f'<h4>{text(view.pair.name)}</h4><div class="views">{figures}</div>'


def _figure(picture: PosePicture) -> str:
    rows, columns = picture.pixels.shape[:2]
    drawing = "" if picture.ellipse is None else _drawing(picture.ellipse, rows, columns)
    return (
        f'<figure class="view"><div class="stack" style="aspect-ratio:{columns} / {rows}">'
        f"{image(picture.pixels[::-1], picture.title)}{drawing}</div>"
        f"<figcaption>{text(picture.title)}</figcaption></figure>"
    )


def _drawing(drawn: Ellipse, rows: int, columns: int) -> str:
    place = f'cx="{drawn.column:.2f}" cy="{drawn.row:.2f}"'
    half = f'rx="{drawn.axes[0]:.2f}" ry="{drawn.axes[1]:.2f}"'
    turn = f'transform="rotate({drawn.degrees:.2f} {drawn.column:.2f} {drawn.row:.2f})"'
    return (
        f'<svg viewBox="-0.5 -0.5 {columns} {rows}" preserveAspectRatio="none" class="drawing">'
        f'<ellipse {place} {half} {turn} fill="none" stroke="#ff9d1a" stroke-width="{columns / 200:.2f}"/></svg>'
    )
