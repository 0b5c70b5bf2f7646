"""Single panels of an overview: frame and letters, deformation grid, displacement, volume change, loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.review.course import SCALE, courses
from DiffRegLib.review.subjects import Pair, show
from DiffRegLib.review.views import Box, View
from DiffRegLib.transforms import Transform

MOST_LINES = 30
"""Lines of the deformation grid along the longer side."""


def frame(axes: Any, box: Box, view: View, title: str = "", scale_bar: bool = True) -> None:
    """Patient letters at the four edges, a bar of round length in mm, no ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=10)
    places = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"))
    places += ((0.5, 0.02, "center", "bottom"), (0.5, 0.98, "center", "top"))
    for letter, (x, y, horizontal, vertical) in zip(view.letters, places, strict=True):
        axes.text(x, y, letter, transform=axes.transAxes, ha=horizontal, va=vertical, **_TEXT)
    if scale_bar:
        _scale_bar(axes, box, view)


_BOX = {"facecolor": "black", "alpha": 0.45, "pad": 1.5, "lw": 0}
_TEXT = {"color": "white", "fontsize": 11, "fontweight": "bold", "bbox": _BOX}


def _scale_bar(axes: Any, box: Box, view: View) -> None:
    left, right, bottom, top = box.extent(view)
    length = _round_number((left - right) / 4)
    x, y = right + 0.04 * (left - right), bottom + 0.05 * (top - bottom)
    axes.plot([x, x + length], [y, y], color="white", lw=2.5, solid_capstyle="butt")
    place = {"ha": "center", "va": "bottom", "color": "white", "fontsize": 8, "bbox": _BOX}
    axes.text(x + length / 2, y + 0.02 * (top - bottom), f"{length:g} mm", **place)


def _round_number(value: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not above the value."""
    power = 10 ** np.floor(np.log10(value))
    return float(max(f * power for f in (1, 2, 5) if f * power <= value))


def draw_grid(axes: Any, pair: Pair, box: Box, view: View, transform: Transform) -> None:
    """Straight lines of the fixed frame where the transform takes them, over the moving side."""
    from matplotlib.collections import LineCollection

    show(axes, pair.backdrop(box, view), box, view)
    lines, step = grid_lines(box, view, transform)
    axes.add_collection(LineCollection(lines, colors="#ffd84d", linewidths=0.7))
    left, right, bottom, top = box.extent(view)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    frame(axes, box, view, f"deformation grid, {step:g} mm", scale_bar=False)


def grid_lines(box: Box, view: View, transform: Transform) -> tuple[list[np.ndarray], float]:
    """Lines (160, 2) of a grid on a plane where the transform takes them, (across, up) in mm, and its mesh in mm."""
    longest = float(max(box.size[view.across], box.size[view.up]))
    step = next((s for s in (5, 10, 15, 20, 25) if longest / s <= MOST_LINES), longest / MOST_LINES)
    lines = []
    for along, fixed in ((view.across, view.up), (view.up, view.across)):
        positions = torch.arange(float(box.low[fixed]) + step / 2, float(box.high[fixed]), step)
        run = torch.linspace(float(box.low[along]), float(box.high[along]), 160)
        points = torch.empty(len(positions), len(run), 3)
        points[..., view.normal] = float(box.cuts[view.normal])
        points[..., fixed] = positions[:, None]
        points[..., along] = run
        lines += list(transform(points)[..., [view.across, view.up]].detach().numpy())
    return lines, step


def draw_displacement(axes: Any, box: Box, view: View, transform: Transform) -> None:
    """Its length in mm in color, its direction in the plane as arrows."""
    plane = box.plane(view, pixels=200)
    displacement = (transform(plane) - plane).detach()
    length = displacement.norm(dim=-1).numpy()
    top = max(float(np.quantile(length, 0.998)), 1e-3)
    image = axes.imshow(length, origin="lower", extent=box.extent(view), cmap="viridis", vmin=0, vmax=top)
    stride = max(1, max(plane.shape[:2]) // 18)
    every = slice(stride // 2, None, stride)
    at, arrow = plane[every, every], displacement[every, every]
    axes.quiver(
        *(at[..., a].numpy() for a in (view.across, view.up)),
        *(arrow[..., a].numpy() for a in (view.across, view.up)),
        angles="xy",
        scale_units="xy",
        scale=max(1.0, top / (0.06 * float(box.size[view.up]))),
        color="white",
        width=0.004,
    )
    frame(axes, box, view, "displacement", scale_bar=False)
    axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, label="mm")


def draw_volume_change(axes: Any, box: Box, view: View, transform: Transform) -> None:
    """The Jacobian determinant in color around 1; where it is not positive the tissue folds, in magenta."""
    plane = box.plane(view, pixels=200)
    determinant = _determinant(transform, plane).numpy()
    folded = determinant <= 0
    logarithm = np.log2(np.maximum(determinant, 1e-3))
    reach = float(np.clip(np.quantile(np.abs(logarithm), 0.995), 0.2, 3.0))
    image = axes.imshow(logarithm, origin="lower", extent=box.extent(view), cmap="RdBu_r", vmin=-reach, vmax=reach)
    if folded.any():
        paint = np.zeros((*folded.shape, 4))
        paint[folded] = (1, 0, 1, 1)
        axes.imshow(paint, origin="lower", extent=box.extent(view))
    frame(axes, box, view, "volume change, moving / fixed", scale_bar=False)
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, label="Jacobian determinant")
    ticks = np.linspace(-reach, reach, 5)
    bar.set_ticks(ticks, labels=[f"{2**t:.2f}" for t in ticks])


def draw_veil(axes: Any, box: Box, view: View, support: Any) -> None:
    """A dark veil and a dotted line where the field is no longer driven by data; nothing without `support`."""
    if support is None:
        return
    covered = support.covers(box.plane(view, pixels=200)).numpy()
    paint = np.zeros((*covered.shape, 4))
    paint[~covered] = (0, 0, 0, 0.4)
    axes.imshow(paint, origin="lower", extent=box.extent(view), interpolation="nearest")
    if covered.any() and not covered.all():
        outline = {"colors": "white", "linewidths": 0.8, "linestyles": "dotted"}
        axes.contour(covered.astype(float), levels=[0.5], extent=box.extent(view), origin="lower", **outline)


def _determinant(transform: Transform, points: Tensor, step: float = 1.0) -> Tensor:
    """det(dT/dx) by central differences over 2 mm."""
    columns = []
    for axis in range(3):
        shift = torch.zeros(3)
        shift[axis] = step
        columns.append((transform(points + shift) - transform(points - shift)) / (2 * step))
    return torch.linalg.det(torch.stack(columns, -1)).detach()


def draw_trace(axes: Any, trace: Sequence[Any]) -> None:
    """Similarity and regularization over the iterations (rows of `TraceRow`), each stage on its own scale.

    A line stands where another level of a stage begins; the curves of another stage are not joined to it.
    """
    axes.set_title("optimization", fontsize=10)
    if not trace:
        axes.text(0.5, 0.5, "no iterations recorded", ha="center", va="center", color="0.4", transform=axes.transAxes)
        axes.set_axis_off()
        return
    shown = courses(trace)
    _draw_part(axes, [(c.iterations, c.similarity) for c in shown], color="#1f6fd0", lw=1.4, label="similarity loss")
    if any(row.regularization for row in trace):
        parts = [(c.iterations, c.regularization) for c in shown]
        _draw_part(axes, parts, color="#e07b00", lw=1.2, label="regularization")
    for index in range(1, len(trace)):
        if (trace[index].stage, trace[index].level) != (trace[index - 1].stage, trace[index - 1].level):
            axes.axvline(index, color="0.75", lw=0.9, ls="--")
    axes.set_xlabel("iteration (dashed: next level)", fontsize=9)
    axes.set_ylabel(SCALE, fontsize=8)
    axes.set_yticks([])
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_part(axes: Any, stages: Sequence[tuple[list[int], list[float]]], label: str, **style: Any) -> None:
    """A part of the loss, a line a stage; all of them are called by one word in the legend."""
    for number, (iterations, values) in enumerate(stages):
        axes.plot(iterations, values, label=label if number == 0 else None, **style)
