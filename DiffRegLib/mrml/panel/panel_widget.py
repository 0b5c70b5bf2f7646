"""What every panel does alike: its form, the scene's coming and going, and the parameter node that holds its state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from DiffRegLib.mrml.panel.gui_connection import GuiConnection

RUN = Path(__file__).with_name("run.ui")


class PanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Base of the panels' widgets. A panel says what it does in `begin`, `follow`, `leave` and `busy`."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self._parameterNode: Any = None
        self._gui: GuiConnection | None = None
        self._message = ""  # how the last action went
        self._updating = False

    @property
    def busy(self) -> bool:
        """Whether work goes on that a scene which is imported must not disturb."""
        raise NotImplementedError

    def begin(self, parameterNode: Any) -> None:
        """A parameter node is going to be shown, or none; the widgets are not connected yet."""

    def follow(self) -> None:
        """Brings everything in line with the parameter node, and with the nodes that it names."""
        raise NotImplementedError

    def leave(self) -> None:
        """Ends whatever goes on: the scene is closed, or the module unloaded."""
        raise NotImplementedError

    def build(self, logic: Any, form: Path | None = None) -> None:
        """Loads `Resources/UI/<module>.ui` as `self.ui`, and listens to the scene.

        form: another `.ui` that takes the module's own, where there is one, into its widget `ownWidget`. A widget
        `runWidget` takes what every panel shows of a run and its result.
        """
        ScriptedLoadableModuleWidget.setup(self)
        own = Path(self.resourcePath(f"UI/{self.moduleName}.ui"))
        uiWidget = slicer.util.loadUI(str(form or own))
        if form is not None:
            _fill(slicer.util.findChildren(uiWidget, "ownWidget"), own)
        _fill(slicer.util.findChildren(uiWidget, "runWidget"), RUN)
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = logic
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)

    def cleanup(self) -> None:
        self.leave()
        self.setParameterNode(None)
        self.logic = None
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        self._part()

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        self.leave()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: str) -> None:
        self._beginAgain()

    def onSceneEndImport(self, caller: Any, event: str) -> None:
        """The nodes that the settings name have arrived after the settings; the views come after both."""
        qt.QTimer.singleShot(0, self._beginAgain)

    def _beginAgain(self) -> None:
        if self.logic is not None and self.parent.isEntered and not self.busy:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: Any) -> None:
        self._part()
        self._parameterNode = parameterNode
        self._message = ""
        self.begin(parameterNode)
        if parameterNode:
            self._gui = GuiConnection(parameterNode, self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            self.onParametersModified()

    def _part(self) -> None:
        """The widgets and the parameter node go separate ways."""
        if self._gui is not None:
            self._gui.end()
            self._gui = None
            self.removeObservers(self.onParametersModified)

    def onParametersModified(self, caller: Any = None, event: str | None = None) -> None:
        """`follow`, but not while that itself changes settings."""
        if self._updating or not self._parameterNode or slicer.mrmlScene.IsImporting():
            return  # of a scene that is being loaded the settings come before the nodes that they name
        self._updating = True
        try:
            self.follow()
        finally:
            self._updating = False


def _fill(places: list[Any], form: Path) -> None:
    """Loads a `.ui` into a widget that waits for it; hides that where there is none."""
    for place in places:
        place.setVisible(form.is_file())
        if form.is_file():
            inner = slicer.util.loadUI(str(form))
            place.layout().addWidget(inner)
            if hasattr(inner, "setMRMLScene"):
                inner.setMRMLScene(slicer.mrmlScene)
