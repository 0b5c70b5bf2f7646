"""A transform made visible in the slices and in 3D: as a grid, as arrows, as contours of its displacement."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import slicer

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.seen import name_of

Look = Literal["grid", "glyphs", "contours"]

LINES = 12
"""Grid lines or arrows along the longest side of the region."""


def show_transform(
    transform: Any,
    look: Look,
    region: Any,
    in_slices: bool = True,
    in_3d: bool = True,
    spacing: float | None = None,
    levels: tuple[float, ...] = (),
) -> None:
    """Shows a transform node of the scene over the region of another node (volume, model, markups: where it is seen).

    spacing: mm between grid lines or arrows, by default a twelfth of the longest side. levels: mm of displacement at
    which contours are drawn, Slicer's own by default. The grid is one of the moving side, drawn where it is taken to.
    """
    if look not in get_args(Look):
        raise RegistrationError(f"A transform cannot be shown as {look!r}: choose one of {', '.join(get_args(Look))}.")
    display = display_of(transform)
    spacing = spacing or _spacing(region)
    kind = slicer.vtkMRMLTransformDisplayNode
    modes = {"grid": kind.VIS_MODE_GRID, "glyphs": kind.VIS_MODE_GLYPH, "contours": kind.VIS_MODE_CONTOUR}
    changing = display.StartModify()
    display.SetAndObserveRegionNode(region)
    display.SetVisualizationMode(modes[look])
    display.SetGridSpacingMm(spacing)
    display.SetGridResolutionMm(spacing / 4)
    display.SetGridLineDiameterMm(spacing / 15)
    display.SetGlyphSpacingMm(spacing)
    display.SetGlyphDiameterMm(spacing / 3)
    display.SetContourResolutionMm(spacing / 2)
    if levels:
        display.SetContourLevelsMmFromString(" ".join(f"{level:g}" for level in levels))
    display.SetVisibility(in_slices or in_3d)
    display.SetVisibility2D(in_slices)
    display.SetVisibility3D(in_3d)
    display.EndModify(changing)


def hide_transform(transform: Any) -> None:
    """Takes a transform out of all views; how it was shown is kept."""
    display = transform.GetDisplayNode()
    if display is not None:
        display.SetVisibility(False)


def display_of(transform: Any) -> Any:
    """The display node of a transform that is in a scene; made, and not visible, where there is none."""
    if transform.GetDisplayNode() is None:
        transform.CreateDefaultDisplayNodes()
    return transform.GetDisplayNode()


def _spacing(region: Any) -> float:
    bounds = np.zeros(6)
    region.GetRASBounds(bounds)
    side = float((bounds[1::2] - bounds[::2]).max())
    if not 0 < side < 1e6:
        raise RegistrationError(
            f"{name_of(region)} is empty, so there is no place to show the transform: choose another."
        )
    return side / LINES
