"""What the views show of a finished registration: the moving input over the fixed one, and the grid."""

from __future__ import annotations

from typing import Any

import slicer

from DiffRegLib.mrml import show
from DiffRegLib.mrml.pair import comparisons
from DiffRegLib.mrml.pair.parameters import Display
from DiffRegLib.mrml.show_transform import hide_transform, show_transform

COMPARISONS = (Display.CHECKERBOARD, Display.SIDE_BY_SIDE)
MOST_LABELS = 50  # of points, beyond which they hide what they name
FIXED_COLOR, BEFORE_COLOR, AFTER_COLOR = (0.35, 0.68, 0.45), (0.55, 0.55, 0.6), (0.95, 0.6, 0.2)


def has_result(parameters: Any) -> bool:
    """Whether a finished registration is in the scene, whole."""
    nodes = (parameters.result_fixed, parameters.result_moving, parameters.output_warped, parameters.output_transform)
    return bool(parameters.measures) and all(node is not None and node.GetScene() is not None for node in nodes)


def settings(parameters: Any) -> tuple[Any, ...]:
    """The settings on which the views depend."""
    return parameters.display, parameters.overlay_opacity, parameters.show_grid


def arrange(parameters: Any) -> None:
    """Once after a run: colors for surfaces and points, and views that are centered on the fixed input."""
    fixed, moving, warped = parameters.result_fixed, parameters.result_moving, parameters.output_warped
    for node, color in ((fixed, FIXED_COLOR), (moving, BEFORE_COLOR), (warped, AFTER_COLOR)):
        if node.IsA("vtkMRMLModelNode") or node.IsA("vtkMRMLMarkupsNode"):
            show.paint(node, color, 0.6 if node.IsA("vtkMRMLModelNode") else 1.0)
    if warped.IsA("vtkMRMLMarkupsNode"):
        warped.GetDisplayNode().SetPointLabelsVisibility(warped.GetNumberOfControlPoints() <= MOST_LABELS)
    show_moving(parameters)
    bounds = [0.0] * 6
    fixed.GetRASBounds(bounds)
    center = [(bounds[2 * n] + bounds[2 * n + 1]) / 2 for n in range(3)]
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *center)
    slicer.util.resetSliceViews()
    slicer.util.resetThreeDViews()


def update(parameters: Any) -> None:
    """Shows what the settings say."""
    show_moving(parameters)
    show_grid(parameters)


def show_moving(parameters: Any, after: bool | None = None) -> None:
    """Lays the moving input over the fixed one. after: the state of the flicker, in place of the setting."""
    display = parameters.display
    if after is not None:
        display = Display.AFTER if after else Display.BEFORE
    fixed, moving, warped = parameters.result_fixed, parameters.result_moving, parameters.output_warped
    if display in COMPARISONS and comparisons.can_compare(fixed, warped):
        comparisons.show_comparison(display, fixed, warped)
        return
    comparisons.leave()
    over = {Display.BEFORE: moving, Display.FIXED: None}.get(display, warped)
    if show.is_volume(fixed):
        show.blend(slicer.mrmlScene, fixed, over if show.is_volume(over) else None, parameters.overlay_opacity)
    for node in (moving, warped):
        if not show.is_volume(node):
            show.set_visible(node, node is over)


def show_grid(parameters: Any) -> None:
    """Draws the grid over the fixed input, or hides it."""
    if parameters.show_grid:
        show_transform(parameters.output_transform, "grid", parameters.result_fixed)
    else:
        hide_transform(parameters.output_transform)
