"""The layout of X-ray Pose: the X-rays large, beside them the beam in 3D and the CT in two slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from DiffRegLib.mrml.layout import layout_node

VIEWS = ("XRay1", "XRay2")
SLICES = ("Red", "Green")  # of the CT
COLORS = ("#D9822B", "#4A90C2")
LAYOUTS = (7441, 7442)
"""The numbers of the layouts with one and with two X-rays; above Slicer's own and its custom ones."""

MARGIN = 1.15  # of what the 3D view shows to the length of the beam

_SLICE = (
    '<view class="vtkMRMLSliceNode" singletontag="{tag}">'
    '<property name="orientation" action="default">{orientation}</property>'
    '<property name="viewlabel" action="default">{label}</property>'
    '<property name="viewcolor" action="default">{color}</property></view>'
)
_XRAYS = [
    f"<item>{_SLICE.format(tag=tag, orientation='Coronal', label=f'X-ray {number}', color=color)}</item>"
    for number, (tag, color) in enumerate(zip(VIEWS, COLORS), 1)
]
_PATIENT = (
    '<item splitSize="400"><layout type="vertical">'
    '<item splitSize="560"><view class="vtkMRMLViewNode" singletontag="1">'
    '<property name="viewlabel" action="default">1</property></view></item>'
    '<item splitSize="440"><layout type="horizontal">'
    f"<item>{_SLICE.format(tag='Red', orientation='Axial', label='R', color='#F34A33')}</item>"
    f"<item>{_SLICE.format(tag='Green', orientation='Coronal', label='G', color='#6EB04B')}</item>"
    "</layout></item></layout></item>"
)


def description(count: int) -> str:
    """The XML of the layout for one or two X-rays."""
    xrays = "".join(_XRAYS[:count])
    return (
        '<layout type="horizontal" split="true">'
        f'<item splitSize="600"><layout type="vertical" split="true">{xrays}</layout></item>{_PATIENT}</layout>'
    )


def arrange(count: int) -> None:
    """Shows one or two X-rays."""
    layout, number = layout_node(slicer.mrmlScene), LAYOUTS[count - 1]
    if not layout.IsLayoutDescription(number):
        layout.AddLayoutDescription(number, description(count))
    layout.SetViewArrangement(number)
    for view in VIEWS[:count]:
        composite_of(view).SetDoPropagateVolumeSelection(False)  # volumes that are loaded later do not cover it


def slice_node(view: str) -> Any:
    """The slice node of a view that is in the layout."""
    return slicer.mrmlScene.GetSingletonNode(view, "vtkMRMLSliceNode")


def composite_of(view: str) -> Any:
    """The node that says what a slice view blends; made where it is missing."""
    found = slicer.mrmlScene.GetNodesByClass("vtkMRMLSliceCompositeNode")
    for number in range(found.GetNumberOfItems()):
        node = found.GetItemAsObject(number)
        if node.GetLayoutName() == view:
            return node
    node = slicer.vtkMRMLSliceCompositeNode()
    node.SetLayoutName(view)
    return slicer.mrmlScene.AddNode(node)


def camera_node() -> Any:
    """The camera of the 3D view, or None."""
    widget = slicer.app.layoutManager().threeDWidget(0)
    return None if widget is None else slicer.modules.cameras.logic().GetViewActiveCameraNode(widget.mrmlViewNode())


def look_from_the_side(camera: Any) -> None:
    """Turns the 3D view so that source and detector of a camera are seen beside each other, the image upright."""
    from DiffRegLib.mrml.xray.detector import corners  # brings torch, without which the panel has to load

    node = camera_node()
    if node is None:
        return
    upper_left, upper_right, _lower_right, lower_left = corners(camera)
    across, up = (upper_right - upper_left), (upper_left - lower_left)
    beam = camera.pose[:3, 2].double().numpy()
    middle = camera.source.numpy() + camera.distance / 2 * beam
    way = across / np.linalg.norm(across) + 0.45 * up / np.linalg.norm(up) + 0.35 * beam
    node.SetFocalPoint(*middle)
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    narrow = min(1.0, view.width / max(1, view.height)) * np.tan(np.radians(node.GetViewAngle() / 2))
    node.SetPosition(*(middle + way / np.linalg.norm(way) * MARGIN * camera.distance / 2 / narrow))
    node.SetViewUp(*(up / np.linalg.norm(up)))
    node.ResetClippingRange()
