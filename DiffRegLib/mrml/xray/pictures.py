"""The X-ray on its detector and what is laid over it, as volumes that a slice view blends."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from DiffRegLib.camera import Camera
from DiffRegLib.mrml import arrays
from DiffRegLib.review.overlay import Overlay

GRAY, RED, CYAN = (f"vtkMRMLColorTableNode{name}" for name in ("Grey", "Red", "Cyan"))
CONTOUR = (1.0, 0.62, 0.1)
DIVERGING = ((0.13, 0.35, 0.72), (0.96, 0.96, 0.96), (0.75, 0.12, 0.15))


class Picture:
    """A one-slice volume on a detector, hidden from the lists of nodes and never saved: it is made again."""

    def __init__(self, name: str) -> None:
        self.node = slicer.vtkMRMLScalarVolumeNode()
        self.node.SetName(name)
        self.node.SetHideFromEditors(True)
        self.node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(self.node)
        self.node.CreateDefaultDisplayNodes()
        self._display.SetSaveWithScene(False)
        self._display.AutoWindowLevelOff()
        self._shown: tuple[Any, ...] = ()

    @property
    def _display(self) -> Any:
        return self.node.GetDisplayNode()

    def show(self, overlay: Overlay, camera: Camera) -> None:
        """Shows what the library laid out, on the pixels of a camera."""
        self.put(overlay.values, camera)
        self.color(_color_node(overlay.colors), overlay.low, overlay.high, overlay.visible)

    def put(self, values: np.ndarray, camera: Camera) -> None:
        """(rows, columns) float32 on the pixels of a camera."""
        put(self.node, values, camera)

    def color(self, color_id: str, low: float, high: float, visible: tuple[float, float] | None = None) -> None:
        """Colors from `low` to `high`; values outside `visible` are transparent."""
        wanted = (color_id, round(low, 6), round(high, 6), visible)
        if wanted == self._shown:
            return
        self._shown = wanted
        changing = self._display.StartModify()
        self._display.SetAndObserveColorNodeID(color_id)
        self._display.SetWindowLevelMinMax(low, high)
        self._display.SetApplyThreshold(visible is not None)
        if visible is not None:
            self._display.SetThreshold(*visible)
        self._display.EndModify(changing)

    def remove(self) -> None:
        """Takes the volume out of the scene."""
        if self.node.GetScene() is not None:
            display = self._display
            slicer.mrmlScene.RemoveNode(self.node)
            if display is not None:
                slicer.mrmlScene.RemoveNode(display)


def put(node: Any, values: np.ndarray, camera: Camera) -> None:
    """Fills a volume node with (rows, columns) on the pixels of a camera; in place where the size stays."""
    image, data = node.GetImageData(), values.astype(np.float32, copy=False)[None, None]
    changing = node.StartModify()
    if image is None or image.GetDimensions() != (data.shape[3], data.shape[2], 1):
        node.SetAndObserveImageData(arrays.image_data(data))
    else:
        arrays.voxels(image)[:] = data
        image.GetPointData().GetScalars().Modified()
        image.Modified()
    node.SetIJKToRASMatrix(arrays.array_to_matrix(camera.detector_affine.numpy()))
    node.EndModify(changing)


def _color_node(colors: str) -> str:
    """The ID of the colors that an overlay asks for."""
    if colors in ("gray", "cyan"):
        return GRAY if colors == "gray" else CYAN
    if colors == "contour":
        return _table("DiffReg contour", np.array([CONTOUR] * 2))
    ends = np.array(DIVERGING)
    ramp = np.linspace(0, 2, 256)
    steps = [np.interp(ramp, range(3), ends[:, channel]) for channel in range(3)]
    return _table("DiffReg diverging", np.stack(steps, -1))


def _table(name: str, colors: np.ndarray) -> str:
    """The ID of a table with these colors (N,3) in the scene, made where it is not there; it is never saved."""
    tag = name.replace(" ", "")
    node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLColorTableNode")
    if node is None:
        node = slicer.vtkMRMLColorTableNode()
        node.SetTypeToUser()
        node.SetName(name)
        node.SetSingletonTag(tag)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetNumberOfColors(len(colors))
        for number, (red, green, blue) in enumerate(colors):
            node.SetColor(number, str(number), red, green, blue, 1.0)
        node = slicer.mrmlScene.AddNode(node)
    return node.GetID()
