"""Pictures of a reviewed pose on each X-ray: the X-ray, the CT's radiograph, contours before and after, uncertainty."""

from __future__ import annotations

import dataclasses

import numpy as np

from DiffRegLib.review.overlay import LIMIT, contours, difference, display
from DiffRegLib.review.poses import Ellipse, PoseReview, PoseView, ellipse

BEFORE, AFTER, SURE = (0.2, 0.65, 1.0), (1.0, 0.62, 0.1), (0.35, 1.0, 0.3)
SMALLEST = 0.04  # of the picture's width, below which an ellipse is drawn enlarged
ENLARGED = (1, 10, 100)


@dataclasses.dataclass(frozen=True, eq=False)
class PosePicture:
    """One picture of a view, row 0 on top: (rows, columns) gray or (rows, columns, 3) colors, in [0, 1].

    key: its name for programs. ellipse: to be drawn on it, in pixels, enlarged as the title says.
    """

    key: str
    title: str
    pixels: np.ndarray
    ellipse: Ellipse | None = None


def pose_pictures(review: PoseReview, view: PoseView) -> tuple[PosePicture, ...]:
    """All of one X-ray."""
    pair = view.pair
    xray, before, after = (one.detach().cpu().double().numpy() for one in (pair.xray, pair.before, pair.after))
    mask = pair.mask.cpu().numpy()
    gray = display(xray, mask)
    changed = np.nan_to_num(difference(xray, after, mask) / (2 * LIMIT)) + 0.5
    title, drawn = _uncertainty(review, view)
    return (
        PosePicture("xray", "X-ray", gray),
        PosePicture("radiograph", "radiograph of the CT at the end", display(after)),
        PosePicture("difference", "difference without local brightness and contrast", changed),
        PosePicture("before", "contours of the CT before", _painted(gray, contours(before) & mask, BEFORE)),
        PosePicture("after", "contours of the CT after", _painted(gray, contours(after) & mask, AFTER)),
        PosePicture("uncertainty", title, gray, drawn),
    )


def with_ellipse(picture: PosePicture) -> np.ndarray:
    """(rows, columns, 3) in [0, 1]: the picture in colors, with its ellipse as a line of about a pixel."""
    pixels = picture.pixels
    colors = pixels.copy() if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, -1)
    if picture.ellipse is not None:
        colors[outline(picture.ellipse, pixels.shape[:2])] = SURE
    return colors


def outline(drawn: Ellipse, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns) bool: the pixels within one of the line of an ellipse."""
    steps = int(8 * max(*drawn.axes, 4.0))
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    turn = np.radians(drawn.degrees)
    along, across = drawn.axes[0] * np.cos(angle), drawn.axes[1] * np.sin(angle)
    columns = np.rint(drawn.column + along * np.cos(turn) - across * np.sin(turn)).astype(int)
    rows = np.rint(drawn.row + along * np.sin(turn) + across * np.cos(turn)).astype(int)
    inside = (columns >= 0) & (columns < shape[1]) & (rows >= 0) & (rows < shape[0])
    found = np.zeros(shape, bool)
    found[rows[inside], columns[inside]] = True
    return found


def _painted(gray: np.ndarray, edges: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    colors = np.repeat(gray[..., None], 3, -1)
    colors[edges] = color
    return colors


def _uncertainty(review: PoseReview, view: PoseView) -> tuple[str, Ellipse | None]:
    """Title and ellipse, large enough to be seen."""
    found = ellipse(review.case, view)
    if found is None:
        return "uncertainty: unknown", None
    columns = view.pair.xray.shape[1]
    times = next((t for t in ENLARGED if found.axes[0] * t > SMALLEST * columns), ENLARGED[-1])
    half = (max(found.axes[0] * times, 0.5), max(found.axes[1] * times, 0.5))
    enlarged = "" if times == 1 else f", drawn {times} times as large"
    return f"uncertainty of the center of the CT, 95 %{enlarged}", dataclasses.replace(found, axes=half)
