"""The CT's bones as a volume rendering that makes way while it would hold the hand up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer
import vtk

OPACITY = ((150.0, 0.0), (350.0, 0.25), (1200.0, 0.75), (3000.0, 0.9))  # HU
COLOR = ((150.0, 0.86, 0.68, 0.52), (350.0, 0.96, 0.9, 0.78), (1200.0, 1.0, 0.98, 0.94))
QUICK = 0.015  # seconds for a frame of the 3D view up to which the rendering stays while the CT moves
SLOW = 0.1  # seconds for a frame from which rays are cast by the processor, with fewer rays while it turns
ON_PROCESSOR = "vtkMRMLCPURayCastVolumeRenderingDisplayNode"


@contextmanager
def placing_kept() -> Iterator[None]:
    """Clicks go on placing points of the same list: a region that is added, a markup too, would take them over."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    kind, active = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    try:
        yield
    finally:
        if selection.GetActivePlaceNodeID() != active:
            selection.SetReferenceActivePlaceNodeClassName(kind)
            selection.SetActivePlaceNodeID(active)


class Bones:
    """A volume rendering of one CT node. One that a person made before is only switched on and off."""

    def __init__(self, ct: Any, view: Any) -> None:
        """view: the 3D view's widget, whose frames are timed."""
        self._ct, self._view = ct, view
        self._logic = slicer.modules.volumerendering.logic()
        self._display = self._logic.GetFirstVolumeRenderingDisplayNode(ct)
        self._foreign = self._display is not None
        self._wanted, self._moving, self._begin = False, False, 0.0
        self.seconds = 0.0  # that the last frame with the rendering took
        window = view.renderWindow()
        self._tags = [
            (window, window.AddObserver(vtk.vtkCommand.StartEvent, self._started)),
            (window, window.AddObserver(vtk.vtkCommand.EndEvent, self._ended)),
        ]

    def show(self, wanted: bool) -> None:
        """Switches the rendering on or off; it is made when it is first wanted."""
        self._wanted = wanted
        if wanted and self._display is None:
            self._make(None)
        self._apply()

    def moving(self, moves: bool) -> None:
        """Tells that the CT moves, or rests again."""
        if moves != self._moving:
            self._moving = moves
            self._apply()

    def remove(self) -> None:
        """Ends the rendering and takes what belongs to it out of the scene."""
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._tags = []
        if self._display is None or self._display.GetScene() is None:
            return
        if self._foreign:
            return
        nodes = [self._display.GetVolumePropertyNode(), self._display.GetROINode(), self._display]
        for node in filter(None, nodes):
            slicer.mrmlScene.RemoveNode(node)
        self._display = None

    def _make(self, method: str | None) -> None:
        with placing_kept():
            self._make_nodes(method)
        self._dress()

    def _make_nodes(self, method: str | None) -> None:
        if method is None:
            self._display = self._logic.CreateDefaultVolumeRenderingNodes(self._ct)
        else:
            self._display = self._logic.CreateVolumeRenderingDisplayNode(method)
            slicer.mrmlScene.AddNode(self._display)
            self._ct.AddAndObserveDisplayNodeID(self._display.GetID())
            self._logic.UpdateDisplayNodeFromVolumeNode(self._display, self._ct)

    def _dress(self) -> None:
        self._display.SetSaveWithScene(False)
        properties = self._display.GetVolumePropertyNode()
        properties.SetSaveWithScene(False)
        opacity, color = vtk.vtkPiecewiseFunction(), vtk.vtkColorTransferFunction()
        for point in OPACITY:
            opacity.AddPoint(*point)
        for point in COLOR:
            color.AddRGBPoint(*point)
        properties.SetScalarOpacity(opacity)
        properties.SetColor(color)
        look = properties.GetVolumeProperty()
        look.ShadeOn()
        look.SetAmbient(0.5)
        look.SetDiffuse(0.75)
        look.SetSpecular(0.1)

    def _apply(self) -> None:
        if self._display is not None and self._display.GetScene() is not None:
            visible = self._wanted and not (self._moving and self.seconds > QUICK)
            if bool(self._display.GetVisibility()) != visible:
                self._display.SetVisibility(visible)

    def _started(self, caller: Any, event: str) -> None:
        self._begin = time.perf_counter()

    def _ended(self, caller: Any, event: str) -> None:
        if self._display is None or not self._display.GetVisibility():
            return
        self.seconds = time.perf_counter() - self._begin
        if self.seconds > SLOW and not self._foreign and not self._display.IsA(ON_PROCESSOR):
            slow, region = self._display, self._display.GetROINode()
            slow.SetVisibility(False)
            self._make(ON_PROCESSOR)
            slicer.mrmlScene.RemoveNode(slow.GetVolumePropertyNode())
            slicer.mrmlScene.RemoveNode(slow)
            if region is not None and region is not self._display.GetROINode():
                slicer.mrmlScene.RemoveNode(region)
            self._apply()
