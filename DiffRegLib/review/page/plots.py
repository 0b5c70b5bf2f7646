"""Plots as SVG: sharp at any size, small, and without a library on the reader's side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from DiffRegLib.review.page.html import text

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 40
BEFORE, AFTER = "#8a8a8a", "#1f6fd0"
Curve = tuple[str, str, Sequence[float], Sequence[float]]
"""Its name, its color, and its x and y."""


def curves(
    title: str, x_name: str, y_name: str, shown: Sequence[Curve], marks: Sequence[tuple[float, str]] = ()
) -> str:
    """Lines over one another; marks: heights at which a dashed line stands, with their colors."""
    xs = np.concatenate([np.asarray(x, dtype=float) for _, _, x, _ in shown])
    ys = np.concatenate([np.asarray(y, dtype=float) for _, _, _, y in shown])
    kept = ys[np.isfinite(ys)]
    if not len(kept):
        return ""
    low, high = min(0.0, float(kept.min())), max(float(kept.max()), *(m for m, _ in marks), 1e-9)
    axes = _Axes(float(xs.min()), max(float(xs.max()), float(xs.min()) + 1e-9), low, high * 1.05)
    parts = [axes.frame(x_name, y_name)]
    for mark, color in marks:
        y = axes.y(mark)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="mark" stroke="{color}"/>'
        )
    for name, color, x, y in shown:
        points = " ".join(f"{axes.x(a):.1f},{axes.y(b):.1f}" for a, b in zip(x, y) if math.isfinite(b))
        parts.append(
            f'<polyline points="{points}" stroke="{color}" class="curve"><title>{text(name)}</title></polyline>'
        )
    return _figure(title, parts, [(name, color) for name, color, _, _ in shown])


def histogram(title: str, x_name: str, values: np.ndarray, low: float, high: float, bins: int = 60) -> str:
    """How values are distributed; what lies beyond the ends is in the last bins."""
    counts, edges = np.histogram(np.clip(values, low, high), bins, (low, high))
    shares = 100 * counts / max(1, len(values))
    axes = _Axes(low, high, 0.0, max(float(shares.max()), 1e-9) * 1.05)
    parts = [axes.frame(x_name, "share [%]")]
    for share, a, b in zip(shares, edges, edges[1:]):
        y = axes.y(share)
        color = "#c2185b" if b <= 0 else AFTER
        parts.append(
            f'<rect x="{axes.x(a):.1f}" y="{y:.1f}" width="{axes.x(b) - axes.x(a):.1f}" '
            f'height="{axes.y(0) - y:.1f}" fill="{color}"/>'
        )
    return _figure(title, parts, [])


def bars(title: str, y_name: str, names: Sequence[str], before: Sequence[float], after: Sequence[float]) -> str:
    """Two bars for each name, before and after."""
    top = max([v for v in (*before, *after) if math.isfinite(v)], default=1.0)
    axes = _Axes(0.0, float(len(names)), 0.0, max(top, 1e-9) * 1.05)
    parts = [axes.frame("", y_name, ticks=False)]
    for n, (name, *pair) in enumerate(zip(names, before, after)):
        for offset, value, color in ((0.12, pair[0], BEFORE), (0.5, pair[1], AFTER)):
            if math.isfinite(value):
                x, y = axes.x(n + offset), axes.y(value)
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{axes.x(0.38) - axes.x(0):.1f}" '
                    f'height="{axes.y(0) - y:.1f}" fill="{color}"><title>{text(name)}: {value:.3g}</title></rect>'
                )
    return _figure(title, parts, [("before", BEFORE), ("after", AFTER)])


class _Axes:
    """From values to places in the picture."""

    def __init__(self, x_low: float, x_high: float, y_low: float, y_high: float) -> None:
        self.x_range, self.y_range = (x_low, x_high), (y_low, y_high)

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def frame(self, x_name: str, y_name: str, ticks: bool = True) -> str:
        parts = []
        for value in _ticks(*self.y_range):
            y = self.y(value)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="rule"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        for value in _ticks(*self.x_range) if ticks else ():
            x = self.x(value)
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{value:g}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{text(x_name)}</text>')
        height = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(
            f'<text x="12" y="{height}" text-anchor="middle" transform="rotate(-90 12 {height})">{text(y_name)}</text>'
        )
        return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """Four to seven round values between two."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * f for f in (1, 2, 2.5, 5, 10) if (high - low) / (step * f) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _figure(title: str, parts: list[str], legend: list[tuple[str, str]]) -> str:
    keys = "".join(f'<span class="key"><i style="background:{color}"></i>{text(name)}</span>' for name, color in legend)
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(title)}">{"".join(parts)}</svg>'
    return f'<figure class="plot"><figcaption>{text(title)} {keys}</figcaption>{svg}</figure>'
