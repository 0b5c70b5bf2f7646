"""Two slice views side by side that move together: the fixed image, and the moving one before or after."""

from __future__ import annotations

from typing import Any

import slicer

from DiffRegLib.mrml import show

FIXED_VIEW, MOVING_VIEW = "DiffRegFixed", "DiffRegMoving"
LAYOUT = 7431
"""The number under which the layout is known to the scene's layout node; above Slicer's own and its custom ones."""

_VIEW = (
    '<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
    '<property name="orientation" action="default">Axial</property>'
    '<property name="viewlabel" action="default">{label}</property>'
    '<property name="viewcolor" action="default">{color}</property>'
    "</view></item>"
)
DESCRIPTION = (
    '<layout type="horizontal">'
    + _VIEW.format(tag=FIXED_VIEW, label="F", color="#4A9C6D")
    + _VIEW.format(tag=MOVING_VIEW, label="M", color="#D9822B")
    + "</layout>"
)


def side_by_side(scene: Any, fixed: Any, moving: Any, orientation: str = "Axial") -> int:
    """Shows two volumes in two linked slice views and returns the number of the layout before, for `restore`."""
    layout = layout_node(scene)
    before = layout.GetViewArrangement()
    if not layout.IsLayoutDescription(LAYOUT):
        layout.AddLayoutDescription(LAYOUT, DESCRIPTION)
    for view in (FIXED_VIEW, MOVING_VIEW):
        if not show.composites(scene, [view]):
            composite = slicer.vtkMRMLSliceCompositeNode()
            composite.SetLayoutName(view)
            scene.AddNode(composite)
    layout.SetViewArrangement(LAYOUT)
    for view in (FIXED_VIEW, MOVING_VIEW):
        node = scene.GetSingletonNode(view, "vtkMRMLSliceNode")
        if node is not None:
            node.SetOrientation(orientation)
    show.blend(scene, fixed, None, views=[FIXED_VIEW])
    show.blend(scene, moving, None, views=[MOVING_VIEW])
    show.link(scene, (FIXED_VIEW, MOVING_VIEW))
    return before


def restore(scene: Any, before: int) -> None:
    """Goes back to the layout that `side_by_side` returned, unless another one has been chosen meanwhile."""
    layout = layout_node(scene)
    if layout.GetViewArrangement() == LAYOUT and before != LAYOUT:
        layout.SetViewArrangement(before)


def layout_node(scene: Any) -> Any:
    """The scene's layout node; made where there is none."""
    nodes = scene.GetNodesByClass("vtkMRMLLayoutNode")
    return nodes.GetItemAsObject(0) if nodes.GetNumberOfItems() else scene.AddNewNodeByClass("vtkMRMLLayoutNode")
