"""Pictures of two volumes in one: their difference, red and cyan, a curtain; what is made is hidden and never saved.

Both volumes lie on one grid as seen. Nothing of theirs is changed: tinted copies share their voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import slicer
import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays, show
from DiffRegLib.mrml.seen import name_of, world_matrix

MARK = "DiffReg.Composed"
"""The attribute of everything that is made here."""
RED, CYAN = (1.0, 0.0, 0.0), (0.0, 1.0, 1.0)
LEVELS, WHITE = 256, 255


def clear(scene: Any) -> None:
    """Takes everything that was made here out of the scene."""
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    for node in [node for node in nodes if node.GetAttribute(MARK)]:
        scene.RemoveNode(node)


def show_difference(fixed: Any, warped: Any) -> None:
    """Fixed minus warped, each in its own window, gray where they agree."""
    _same_grid(fixed, warped)
    first, second = (_in_window(node) for node in (fixed, warped))
    node = _hidden_volume(fixed, np.subtract(first, second, dtype=np.int16), "Difference", (-WHITE, WHITE))
    show.blend(slicer.mrmlScene, node, None)


def show_red_cyan(fixed: Any, warped: Any) -> None:
    """The fixed volume in red and the warped one in cyan, added: gray where they agree."""
    tinted = [_tinted(node, color) for node, color in ((fixed, RED), (warped, CYAN))]
    show.blend(slicer.mrmlScene, *tinted, opacity=1.0)
    for composite in show.composites(slicer.mrmlScene):
        composite.SetCompositing(composite.Add)


def show_checkerboard(fixed: Any, warped: Any, tile: float) -> None:
    """Tiles of `tile` mm, by turns from the fixed and from the warped volume."""
    node = _dressed(show.checkerboard(fixed, warped, "Checkerboard", tile), like=fixed)
    show.blend(slicer.mrmlScene, node, None)


def alpha_blending() -> None:
    """The views mix again as they do by default."""
    for composite in show.composites(slicer.mrmlScene):
        composite.SetCompositing(composite.Alpha)


class Curtain:
    """The fixed volume on one side of a plane, the warped one on the other; the plane follows the mouse."""

    def __init__(self, fixed: Any, warped: Any) -> None:
        _same_grid(fixed, warped)
        self._fixed, self._warped = (_in_window(node)[0] for node in (fixed, warped))
        self._to_voxel = np.linalg.inv(world_matrix(fixed) @ arrays.ijk_to_ras(fixed))
        self.node = _hidden_volume(fixed, self._fixed[None], "Curtain", (0, WHITE))
        self._shown = arrays.voxels(self.node.GetImageData())[0]
        self._state = (-1, 0)  # the voxel axis, and the first voxel along it that is the warped volume's
        show.blend(slicer.mrmlScene, self.node, None)
        self.move(0, world_matrix(fixed) @ arrays.ijk_to_ras(fixed) @ [*(np.array(self._fixed.shape[::-1]) / 2), 1])

    def move(self, axis: int, place: Sequence[float]) -> None:
        """Draws the curtain through a place (RAS mm) across patient axis `axis` (0 R, 1 A): warped on its far side."""
        along = int(np.abs(self._to_voxel[:3, axis]).argmax())  # the voxel axis nearest to it
        size = self._fixed.shape[2 - along]
        cut = int(np.clip(round(float((self._to_voxel @ [*place[:3], 1.0])[along])), 0, size))
        before_axis, before = self._state
        part = [slice(None)] * 3
        if along != before_axis:
            self._shown[:] = self._fixed
            before = size
        low, high = sorted((cut, before))
        part[2 - along] = slice(low, high)
        self._shown[tuple(part)] = (self._warped if cut < before else self._fixed)[tuple(part)]
        self._state = (along, cut)
        self.node.GetImageData().GetPointData().GetScalars().Modified()
        self.node.GetImageData().Modified()


def color_table(name: str, color_of: Callable[[np.ndarray], np.ndarray], opacity: Sequence[float] | None = None) -> Any:
    """The scene's table of colors by that name; color_of: (256,) in [0, 1] to (N, 3 or 4) in [0, 1].

    It is saved with the scene, as the volumes are that have its colors.
    """
    tag = f"{MARK}.{name}"
    node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLColorTableNode")
    if node is None:
        node = slicer.vtkMRMLColorTableNode()
        node.SetSingletonTag(tag)
        node.SetHideFromEditors(True)
        node.SetTypeToUser()
        node.SetName(name)
        node = slicer.mrmlScene.AddNode(node)
    colors = np.asarray(color_of(np.linspace(0, 1, LEVELS)))
    node.SetNumberOfColors(len(colors))
    for n, color in enumerate(colors):
        alpha = opacity[n] if opacity is not None else 1.0
        node.SetColor(n, f"{name} {n}", *map(float, color[:3]), float(alpha))
    node.GetLookupTable().SetRange(0, len(colors) - 1)
    return node


def _tinted(volume: Any, color: tuple[float, float, float]) -> Any:
    affine = world_matrix(volume) @ arrays.ijk_to_ras(volume)
    copy = arrays.volume_node(slicer.vtkMRMLScalarVolumeNode, volume.GetName(), volume.GetImageData(), affine)
    table = color_table("Red" if color == RED else "Cyan", lambda t: t[:, None] * np.array(color))
    return _dressed(copy, like=volume, colors=table)


def _hidden_volume(like: Any, data: np.ndarray, name: str, window: tuple[float, float]) -> Any:
    affine = world_matrix(like) @ arrays.ijk_to_ras(like)
    node = arrays.volume_node(slicer.vtkMRMLScalarVolumeNode, name, arrays.image_data(data), affine)
    return _dressed(node, window=window)


def _dressed(volume: Any, like: Any = None, window: tuple[float, float] | None = None, colors: Any = None) -> Any:
    """The volume in the scene, shown as `like` or in a window, gray or in the colors of a table.

    The display is made here, for the one by default would look for a window among all voxels first.
    """
    display = slicer.vtkMRMLScalarVolumeDisplayNode()
    if like is not None and like.GetDisplayNode() is not None:
        display.CopyContent(like.GetDisplayNode())
    display.AutoWindowLevelOff()
    if window is not None:
        display.SetWindowLevelMinMax(*window)
    if colors is not None or not display.GetColorNodeID():
        display.SetAndObserveColorNodeID(colors.GetID() if colors is not None else "vtkMRMLColorTableNodeGrey")
    display = _hidden(display)
    volume.SetAndObserveDisplayNodeID(display.GetID())
    return _hidden(volume)


def _hidden(node: Any) -> Any:
    node.SetAttribute(MARK, "1")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)


def _in_window(volume: Any) -> np.ndarray:
    """(C, D, H, W) uint8 of a volume as it is displayed: 0 is black, 255 white."""
    display = volume.GetDisplayNode()
    if display is not None and display.GetWindow() > 0:
        low, width = display.GetLevel() - display.GetWindow() / 2, display.GetWindow()
    else:
        low, high = volume.GetImageData().GetScalarRange()
        width = max(high - low, 1e-9)
    shown = vtk.vtkImageShiftScale()
    shown.SetInputData(volume.GetImageData())
    shown.SetShift(-low)
    shown.SetScale(WHITE / width)
    shown.ClampOverflowOn()
    shown.SetOutputScalarTypeToUnsignedChar()
    shown.Update()
    return arrays.voxels(shown.GetOutput())


def _same_grid(a: Any, b: Any) -> None:
    same = a.GetImageData().GetDimensions() == b.GetImageData().GetDimensions()
    if not same or not np.allclose(*(world_matrix(n) @ arrays.ijk_to_ras(n) for n in (a, b)), atol=1e-3):
        raise RegistrationError(f"{name_of(a)} and {name_of(b)} lie on different grids: press Review first.")


def cursor_place(crosshair: Any) -> tuple[int, list[float]] | None:
    """The axis across which a curtain hangs in the slice view under the mouse, and the place of the mouse, RAS mm."""
    place = [0.0, 0.0, 0.0]
    if not crosshair.GetCursorPositionRAS(place):
        return None
    matrix = vtk.vtkMatrix4x4()
    view = crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
    if view is not None:
        matrix.DeepCopy(view.GetSliceToRAS())
    across = [abs(matrix.GetElement(row, 0)) for row in range(2)]
    return int(np.argmax(across)), place
