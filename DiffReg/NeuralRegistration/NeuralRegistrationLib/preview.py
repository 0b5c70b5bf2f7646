"""The moving image over the fixed one while the field is optimized; it leaves no trace in the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.methods.neural.options import PREVIEW
from DiffRegLib.mrml import arrays, show

TAG = "DiffRegNeuralPreview"
OPACITY = 0.5


class LivePreview:
    """Follows the file that the worker writes; parameters: gives the parameter node or None."""

    def __init__(self, parameters: Callable[[], Any]) -> None:
        self._parameters = parameters
        self._shown: tuple[str, float] | None = None
        self._before: list[tuple[Any, Any, Any, float]] = []  # composite, its volumes and the opacity

    @property
    def node(self) -> Any:
        """The volume of the preview, or None while there is none."""
        return slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLScalarVolumeNode")

    def update(self, folder: Path) -> None:
        """Shows what the worker of a job's folder has written last, if it is new."""
        path = next(folder.glob(f"*/{PREVIEW}"), None)
        try:
            state = (str(path), path.stat().st_mtime) if path is not None else None
            if state is None or state == self._shown:
                return
            with np.load(path) as content:
                data, affine = content["data"], content["affine"]
        except (OSError, ValueError):  # the result takes its place at this moment
            return
        self._shown = state
        self._show(data, affine)

    def stop(self) -> None:
        """Takes the preview away, and gives the views back what they showed."""
        node, self._shown = self.node, None
        for composite, background, foreground, opacity in self._before:
            if composite.GetScene() is not None:
                composite.SetBackgroundVolumeID(background)
                composite.SetForegroundVolumeID(foreground)
                composite.SetForegroundOpacity(opacity)
        self._before = []
        if node is not None:
            display = node.GetDisplayNode()
            slicer.mrmlScene.RemoveNode(node)
            if display is not None and display.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(display)

    def _show(self, data: np.ndarray, affine: np.ndarray) -> None:
        node, parameters = self.node, self._parameters()
        if parameters is None or parameters.fixed is None:
            return
        if node is None:
            node = self._made(parameters)
        node.SetAndObserveImageData(arrays.image_data(data[None]))
        node.SetIJKToRASMatrix(arrays.array_to_matrix(affine))

    def _made(self, parameters: Any) -> Any:
        node = slicer.vtkMRMLScalarVolumeNode()
        node.SetSingletonTag(TAG)
        node.SetName(_("Preview"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        source = parameters.moving.GetDisplayNode()
        if source is not None:
            display.SetAutoWindowLevel(False)
            display.SetWindowLevel(source.GetWindow(), source.GetLevel())
        for composite in show.composites(slicer.mrmlScene):
            volumes = composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()
            self._before.append((composite, *volumes, composite.GetForegroundOpacity()))
            composite.SetBackgroundVolumeID(parameters.fixed.GetID())
            composite.SetForegroundVolumeID(node.GetID())
            composite.SetForegroundOpacity(OPACITY)
        return node
