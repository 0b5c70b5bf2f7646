"""One layer of supervoxels over both scans, side by side; a click shows the counterpart of a supervoxel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.mrml import arrays, layout, show
from DiffRegLib.mrml.pair import displays
from DiffRegLib.mrml.pair.plan import SIDES
from DiffRegLib.mrml.show_transform import hide_transform

VIEWS = dict(zip(SIDES, (layout.FIXED_VIEW, layout.MOVING_VIEW)))
TAG = "DiffRegSupervoxels{}"
COLORS = "DiffRegSupervoxelColors"
OPACITY = 0.45  # of a layer over the scan
FAINT = 0.25  # of all others, while one supervoxel is picked out
CLASSES = 256  # what a layer can hold at most


class LayerViews:
    """Shows the layer that the slider says, while the box is checked; parameters: gives the parameter node or None."""

    def __init__(self, ui: Any, parameters: Callable[[], Any]) -> None:
        self._ui, self._parameters = ui, parameters
        self._before: int | None = None  # the layout that both scans have replaced
        self._shown: tuple[Any, ...] | None = None
        self._observed: list[tuple[Any, int]] = []
        self.picked = 0

    def update(self) -> None:
        """Brings slider, label maps and views in line with the parameter node."""
        parameters = self._parameters()
        there = parameters is not None and all(self._layers(side) is not None for side in SIDES)
        for name in ("showLayersCheckBox", "layerSlider"):
            getattr(self._ui, name).enabled = there
        if there:
            self._ui.layerSlider.maximum = self._count()
        wanted = there and bool(parameters.show_layers)
        state = (parameters.layer, *(self._layers(side).GetID() for side in SIDES)) if wanted else None
        if state == self._shown:
            return
        self._shown = state
        if wanted:
            self._show(max(0, min(parameters.layer, self._count()) - 1))
        else:
            self.stop()

    def stop(self) -> None:
        """Takes the layers from the views, and goes back to the layout before."""
        self._shown, self.picked = None, 0
        for interactor, tag in self._observed:
            interactor.RemoveObserver(tag)
        self._observed.clear()
        for side in SIDES:
            node = slicer.mrmlScene.GetSingletonNode(TAG.format(side), "vtkMRMLLabelMapVolumeNode")
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        if self._before is not None:
            layout.restore(slicer.mrmlScene, self._before)
            self._before = None
            parameters = self._parameters()
            if parameters is not None and displays.has_result(parameters):
                displays.update(parameters)
        self._ui.pickedLabel.text = ""

    def pick(self, side: str, ras: np.ndarray) -> int:
        """Picks the supervoxel at a place (3,) RAS mm of a side out, and brings the other view to its counterpart.

        Returns its class, 0 in the background, which ends the picking.
        """
        node = self._labels(side)
        voxels = arrays.voxels(node.GetImageData())[0]
        index = np.linalg.inv(arrays.ijk_to_ras(node)) @ [*ras, 1]
        i, j, k = np.floor(index[:3] + 0.5).astype(int)
        inside = all(0 <= n < size for n, size in zip((k, j, i), voxels.shape))
        self.picked = int(voxels[k, j, i]) if inside else 0
        self._paint()
        other = next(s for s in SIDES if s != side)
        counterpart = self.center(other)
        if counterpart is None:
            words = _("The other scan does not have this supervoxel.") if self.picked else ""
        else:
            slice_node = slicer.mrmlScene.GetSingletonNode(VIEWS[other], "vtkMRMLSliceNode")
            if slice_node is not None:
                layout.look_at(slice_node, counterpart)
            words = _("Supervoxel {number}, {sides}").format(number=self.picked, sides=self._volumes())
        self._ui.pickedLabel.text = words
        return self.picked

    def center(self, side: str) -> np.ndarray | None:
        """(3,) RAS mm: the middle of the picked supervoxel in a scan, or None where it has none."""
        node = self._labels(side)
        kji = np.argwhere(arrays.voxels(node.GetImageData())[0] == self.picked) if self.picked else np.zeros((0, 3))
        return (arrays.ijk_to_ras(node) @ [*kji.mean(0)[::-1], 1])[:3] if len(kji) else None

    def _volumes(self) -> str:
        milliliters = []
        for side in SIDES:
            node = self._labels(side)
            voxel = abs(np.linalg.det(arrays.ijk_to_ras(node)[:3, :3])) / 1000
            milliliters.append((arrays.voxels(node.GetImageData())[0] == self.picked).sum() * voxel)
        return _("{fixed:.0f} ml in the fixed and {moving:.0f} ml in the moving scan").format(
            fixed=milliliters[0], moving=milliliters[1]
        )

    def _show(self, layer: int) -> None:
        parameters = self._parameters()
        fixed, moving = parameters.result_fixed, parameters.result_moving
        if fixed is None or moving is None:
            return
        before = layout.side_by_side(slicer.mrmlScene, fixed, moving)
        if not layout.is_ours(before):
            self._before = before
        show.link(slicer.mrmlScene, VIEWS.values(), linked=False)  # each scan has a place of its own
        self.picked = 0
        for side, volume in zip(SIDES, (fixed, moving)):
            labels = self._labels(side)
            source = self._layers(side)
            values = arrays.voxels(source.GetImageData())[layer : layer + 1].astype(np.int16)
            labels.SetAndObserveImageData(arrays.image_data(values))
            labels.SetIJKToRASMatrix(arrays.array_to_matrix(arrays.ijk_to_ras(source)))
            labels.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
            for composite in show.composites(slicer.mrmlScene, [VIEWS[side]]):
                composite.SetLabelVolumeID(labels.GetID())
                composite.SetLabelOpacity(OPACITY)
        if parameters.output_transform is not None:
            hide_transform(parameters.output_transform)  # its grid would cross the borders of the supervoxels
        self._paint()
        self._listen()

    def _labels(self, side: str) -> Any:
        """The label map of the shown layer, made where there is none; never saved, for the layers are."""
        tag = TAG.format(side)
        node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLLabelMapVolumeNode")
        if node is None:
            node = slicer.vtkMRMLLabelMapVolumeNode()
            node.SetSingletonTag(tag)
            node.SetName(_("Supervoxels of the {side} scan").format(side=_(side)))
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            node = slicer.mrmlScene.AddNode(node)
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetSaveWithScene(False)
            node.GetDisplayNode().SetAndObserveColorNodeID(_colors().GetID())
        return node

    def _paint(self) -> None:
        """All supervoxels in their colors, or one of them picked out."""
        table = _colors().GetLookupTable()
        for number in range(1, CLASSES):
            color = list(table.GetTableValue(number))
            color[3] = 1.0 if self.picked in (0, number) else FAINT
            table.SetTableValue(number, color)
        _colors().Modified()

    def _listen(self) -> None:
        """A click without a key in one of both views picks a supervoxel."""
        if self._observed:
            return
        manager = slicer.app.layoutManager()
        for side, view in VIEWS.items():
            widget = manager.sliceWidget(view) if manager is not None else None
            if widget is None:
                continue
            interactor = widget.sliceView().interactor()
            tag = interactor.AddObserver("LeftButtonPressEvent", self._clicked(side, widget.sliceView()))
            self._observed.append((interactor, tag))

    def _clicked(self, side: str, view: Any) -> Callable[[Any, str], None]:
        def clicked(caller: Any, event: str) -> None:
            x, y = caller.GetEventPosition()
            ras = arrays.matrix_to_array(view.mrmlSliceNode().GetXYToRAS()) @ [x, y, 0, 1]
            self.pick(side, ras[:3])

        return clicked

    def _layers(self, side: str) -> Any:
        return self._parameters().getValue(f"layers_{side}")

    def _count(self) -> int:
        return self._layers("fixed").GetImageData().GetNumberOfScalarComponents()


def _colors() -> Any:
    """The color table of all layers: random colors that differ in hue, the background transparent."""
    node = slicer.mrmlScene.GetSingletonNode(COLORS, "vtkMRMLColorTableNode")
    if node is None:
        node = slicer.vtkMRMLColorTableNode()
        node.SetTypeToUser()
        node.SetNumberOfColors(CLASSES)
        generator = np.random.default_rng(0)
        for number, (red, green, blue) in enumerate(generator.uniform(0.15, 1.0, (CLASSES, 3))):
            node.SetColor(number, str(number), red, green, blue, 1.0 if number else 0.0)
        node.SetSingletonTag(COLORS)
        node.SetName(_("Supervoxels"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(node)
    return node
