"""Layouts of slice views that move together: two images side by side, or two and their overlay in three directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from DiffRegLib.mrml import arrays, show

FIXED_VIEW, MOVING_VIEW, BOTH_VIEW = "DiffRegFixed", "DiffRegMoving", "DiffRegBoth"
LAYOUT, NINE, THREE, PICTURES = 7431, 7432, 7433, 7450
"""The numbers under which the scene's layout node knows the layouts, above Slicer's own; of pictures it is the first of
some, one for each count of rows and columns."""
FIXED_COLOR, MOVING_COLOR, BOTH_COLOR = "#4A9C6D", "#D9822B", "#8C8C8C"
ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
USUAL = {"Red": 2, "Green": 1, "Yellow": 0}  # views that tell where a person looks, and along which axis of RAS
_MOST = 10  # rows or columns of pictures

_VIEW = (
    '<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
    '<property name="orientation" action="default">{orientation}</property>'
    '<property name="viewlabel" action="default">{label}</property>'
    '<property name="viewcolor" action="default">{color}</property>'
    "</view></item>"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Pane:
    """A slice view of a layout, by its name, and what it shows: a volume, and one over it.

    orientation: "" is along the volume's own first two axes, rows running down.
    """

    view: str
    label: str
    color: str
    volume: Any
    over: Any = None
    opacity: float = 0.5
    orientation: str = "Axial"


def side_by_side(scene: Any, fixed: Any, moving: Any, orientation: str = "Axial") -> int:
    """Shows two volumes in two linked slice views and returns the number of the layout before, for `restore`."""
    return arrange(scene, LAYOUT, [_pair(fixed, moving, orientation)])


def with_overlay(scene: Any, fixed: Any, moving: Any, over: Any, opacity: float) -> int:
    """Shows two volumes, and beside them `over` upon the fixed one; as `side_by_side`."""
    both = Pane(BOTH_VIEW, "Both", BOTH_COLOR, fixed, over, opacity)
    return arrange(scene, THREE, [[*_pair(fixed, moving, "Axial"), both]])


def three_by_three(scene: Any, fixed: Any, moving: Any, over: Any, opacity: float) -> int:
    """Shows the fixed volume, the moving one, and `over` upon the fixed one, a row a direction; as `side_by_side`."""
    rows = []
    for orientation in ORIENTATIONS:
        columns = (
            ("Fixed", FIXED_COLOR, fixed, None),
            ("Moving", MOVING_COLOR, moving, None),
            ("Both", BOTH_COLOR, fixed, over),
        )
        rows.append(
            [Pane(f"DiffReg{name}{orientation}", name, *shown, opacity, orientation) for name, *shown in columns]
        )
    return arrange(scene, NINE, rows)


def pictures(scene: Any, rows: Sequence[Sequence[Pane]]) -> int:
    """Shows pictures in rows of linked views, at most ten by ten of them; as `side_by_side`."""
    return arrange(scene, PICTURES + _MOST * len(rows) + len(rows[0]), rows)


def arrange(scene: Any, number: int, rows: Sequence[Sequence[Pane]]) -> int:
    """Shows panes in rows under a layout's number, fitted and linked, where a person has looked before.

    Returns the number of the layout before, for `restore`.
    """
    layout, panes = layout_node(scene), [pane for row in rows for pane in row]
    before, place = layout.GetViewArrangement(), _looked_at(scene)
    if not layout.IsLayoutDescription(number):
        layout.AddLayoutDescription(number, _description(rows))
    for pane in panes:
        if not show.composites(scene, [pane.view]):
            composite = slicer.vtkMRMLSliceCompositeNode()
            composite.SetLayoutName(pane.view)
            scene.AddNode(composite)
    if before != number:
        layout.SetViewArrangement(number)
    for pane in panes:
        node = scene.GetSingletonNode(pane.view, "vtkMRMLSliceNode")
        if node is not None and before != number and pane.orientation:
            node.SetOrientation(pane.orientation)
        elif node is not None and pane.volume is not None and not pane.orientation:
            _turn_to(node, pane.volume)
        show.blend(scene, pane.volume, pane.over, pane.opacity, views=[pane.view])
    show.link(scene, [pane.view for pane in panes])
    if before != number:
        _fit_later(scene, panes, place)
    return before


def restore(scene: Any, before: int) -> None:
    """Goes back to the layout that was there before one of ours, unless another one has been chosen meanwhile."""
    layout = layout_node(scene)
    if is_ours(layout.GetViewArrangement()) and not is_ours(before):
        layout.SetViewArrangement(before)


def look_at(node: Any, place: Sequence[float]) -> None:
    """Moves a slice view to a place in RAS mm, within its plane only where the place would lie outside of it."""
    node.JumpSliceByOffsetting(*place)
    to_xy = np.linalg.inv(arrays.matrix_to_array(node.GetXYToRAS()))
    x, y = (to_xy @ [*place, 1.0])[:2]
    width, height = node.GetDimensions()[:2]
    if not (0 <= x < width and 0 <= y < height):
        node.JumpSliceByCentering(*place)


def is_ours(number: int) -> bool:
    """Whether a number of a layout is one of those that are made here."""
    return number in (LAYOUT, NINE, THREE) or PICTURES < number <= PICTURES + _MOST * (_MOST + 1)


def layout_node(scene: Any) -> Any:
    """The scene's layout node; made where there is none."""
    nodes = scene.GetNodesByClass("vtkMRMLLayoutNode")
    return nodes.GetItemAsObject(0) if nodes.GetNumberOfItems() else scene.AddNewNodeByClass("vtkMRMLLayoutNode")


def _pair(fixed: Any, moving: Any, orientation: str) -> list[Pane]:
    left = Pane(FIXED_VIEW, "Fixed", FIXED_COLOR, fixed, orientation=orientation)
    return [left, Pane(MOVING_VIEW, "Moving", MOVING_COLOR, moving, orientation=orientation)]


def _description(rows: Sequence[Sequence[Pane]]) -> str:
    """The XML of the layout."""
    parts = []
    for row in rows:
        views = (
            _VIEW.format(tag=pane.view, label=pane.label, color=pane.color, orientation=pane.orientation or "Axial")
            for pane in row
        )
        parts.append(f'<item><layout type="horizontal">{"".join(views)}</layout></item>')
    return f'<layout type="vertical">{"".join(parts)}</layout>'


def _turn_to(node: Any, volume: Any) -> None:
    """Turns a slice view to the plane of a picture."""
    affine = arrays.ijk_to_ras(volume)
    across, down = (affine[:3, n] / np.linalg.norm(affine[:3, n]) for n in range(2))
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack((across, -down, np.cross(across, -down)), 1)
    matrix[:3, 3] = affine[:3, 3]
    node.GetSliceToRAS().DeepCopy(arrays.array_to_matrix(matrix))
    node.UpdateMatrices()


def _looked_at(scene: Any) -> np.ndarray | None:
    """(3,) RAS mm: where the usual three views meet; None where they are turned or not there."""
    place = np.zeros(3)
    for view, axis in USUAL.items():
        node = scene.GetSingletonNode(view, "vtkMRMLSliceNode")
        if node is None:
            return None
        matrix = arrays.matrix_to_array(node.GetSliceToRAS())
        if abs(matrix[axis, 2]) < 0.99:
            return None
        place[axis] = matrix[axis, 3]
    return place


def _fit_later(scene: Any, panes: Sequence[Pane], place: np.ndarray | None) -> None:
    """Fits the views to what they show when they have their sizes, in the next turn of the event loop."""
    if getattr(slicer, "app", None) is None:
        return  # without a window there are no views
    import qt

    qt.QTimer.singleShot(0, lambda: _fit(scene, panes, place))


def _fit(scene: Any, panes: Sequence[Pane], place: np.ndarray | None) -> None:
    manager = slicer.app.layoutManager()
    for pane in panes:
        widget = manager.sliceWidget(pane.view) if manager is not None else None
        if widget is None:
            continue
        widget.fitSliceToBackground()
        if place is not None and pane.orientation and _inside(pane.volume, place):
            widget.mrmlSliceNode().JumpSliceByOffsetting(*place)


def _inside(volume: Any, place: np.ndarray) -> bool:
    """Whether a place is in the box around a volume."""
    if volume is None or volume.GetScene() is None:
        return False
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    return bool((bounds[::2] <= place).all() and (place <= bounds[1::2]).all())
