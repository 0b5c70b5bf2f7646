"""Images in the slice views: blended, before and after, as a checkerboard. The scene says which views there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import kind_of, name_of, world_matrix


def blend(scene: Any, fixed: Any, over: Any, opacity: float = 0.5, views: Iterable[str] | None = None) -> None:
    """Shows the volume `over` (or None) upon the fixed volume in the slice views, by layout name; None means all.

    A label map goes into the label layer. `opacity` of what lies upon, 0 to 1.
    """
    for composite in composites(scene, views):
        changing = composite.StartModify()
        composite.SetBackgroundVolumeID(_id(fixed))
        labels = over is not None and kind_of(over) == "labels"
        composite.SetForegroundVolumeID(None if labels else _id(over))
        composite.SetLabelVolumeID(_id(over) if labels else None)
        composite.SetForegroundOpacity(opacity)
        composite.SetLabelOpacity(opacity)
        composite.EndModify(changing)


def is_volume(node: Any) -> bool:
    return node is not None and node.IsA("vtkMRMLVolumeNode")


def set_visible(node: Any, visible: bool) -> None:
    """Switches a model, markups, segmentation or transform on or off in all views."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(visible)


def paint(node: Any, color: tuple[float, float, float], opacity: float = 1.0) -> None:
    """Shows a model or markups in a color (0 to 1), also in the slices; nodes of other kinds are only shown."""
    set_visible(node, True)
    display = node.GetDisplayNode()
    display.SetOpacity(opacity)
    if node.IsA("vtkMRMLMarkupsNode"):
        display.SetSelectedColor(color)
    if node.IsA("vtkMRMLModelNode") or node.IsA("vtkMRMLMarkupsNode"):
        display.SetColor(color)
        display.SetVisibility2D(True)


def checkerboard(fixed: Any, warped: Any, name: str, tile: float = 30.0) -> Any:
    """A volume outside the scene of tiles of `tile` mm, by turns from the fixed and from the warped volume.

    Both lie on the same grid as seen, else `RegistrationError`. The tiles of the warped volume are brought from its
    window to the window of the fixed one, so that they look as they do in the views.
    """
    first, second = (arrays.voxels(node.GetImageData()) for node in (fixed, warped))
    affine, other = (world_matrix(node) @ arrays.ijk_to_ras(node) for node in (fixed, warped))
    if first.shape != second.shape or not np.allclose(affine, other, atol=1e-3):
        raise RegistrationError(
            f"{name_of(fixed)} and {name_of(warped)} lie on different grids: make a checkerboard of the fixed volume "
            "and the warped one."
        )
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    along = [np.arange(n) * step // tile for n, step in zip(first.shape[:0:-1], spacing)]
    odd = [along[axis] % 2 == 1 for axis in (2, 1, 0)]
    turns = odd[0][:, None, None] ^ odd[1][None, :, None] ^ odd[2][None, None, :]
    tiles = first.astype(np.float32)
    np.copyto(tiles, _in_window_of(fixed, warped, second), where=turns, casting="unsafe")
    return arrays.volume_node(slicer.vtkMRMLScalarVolumeNode, name, arrays.image_data(tiles), affine)


def composites(scene: Any, views: Iterable[str] | None = None) -> list[Any]:
    """The composite nodes of the slice views with these layout names, or of all."""
    nodes = scene.GetNodesByClass("vtkMRMLSliceCompositeNode")
    found = [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]
    wanted = None if views is None else set(views)
    return [node for node in found if wanted is None or node.GetLayoutName() in wanted]


def link(scene: Any, views: Iterable[str] | None = None, linked: bool = True) -> None:
    """Links the slice views, so that they scroll, zoom and pan together while the mouse moves."""
    for composite in composites(scene, views):
        composite.SetLinkedControl(linked)
        composite.SetHotLinkedControl(linked)


def _id(node: Any) -> str | None:
    return node.GetID() if node is not None else None


def _in_window_of(fixed: Any, warped: Any, values: np.ndarray) -> np.ndarray:
    windows = [_window(node) for node in (fixed, warped)]
    if None in windows or np.allclose(*windows):
        return values
    (low, width), (other_low, other_width) = windows
    values = values.astype(np.float32)
    values *= width / other_width
    values += low - other_low * (width / other_width)
    return values


def _window(node: Any) -> tuple[float, float] | None:
    """The lowest value and the width of what is displayed."""
    display = node.GetDisplayNode()
    if display is None or not display.IsA("vtkMRMLScalarVolumeDisplayNode") or display.GetWindow() <= 0:
        return None
    return display.GetLevel() - display.GetWindow() / 2, display.GetWindow()
