"""A panel after Slicer's scripted template, with what a registration panel needs: the tests of the host drive it."""

import enum
from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLModelNode, vtkMRMLScalarVolumeNode, vtkMRMLTransformNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class HostDemo(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Host Demo")
        self.parent.categories = ["Registration"]
        self.parent.helpText = _("Counts in another process.")


class Effort(enum.Enum):
    QUICK = "quick"
    THOROUGH = "thorough"

    def label(self):
        return self.value


@parameterNodeWrapper
class HostDemoParameterNode:
    fixed: vtkMRMLScalarVolumeNode | vtkMRMLModelNode | None
    output: vtkMRMLTransformNode
    smoothness: Annotated[float, WithinRange(0, 10)] = 2.5
    iterations: Annotated[int, WithinRange(1, 1000)] = 30
    invert: bool = False
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    effort: Effort = Effort.THOROUGH
    table: Path
    note: str = "first"
    schedule: list[float] = [4.0, 2.0]


class HostDemoWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.process = None
        self.entered = 0
        self._parameterNode = None
        self._guiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/HostDemo.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = HostDemoLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.setParameterNode(self.logic.getParameterNode())

    def cleanup(self):
        self.removeObservers()

    def enter(self):
        self.entered += 1
        self.setParameterNode(self.logic.getParameterNode())

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.checkCanApply)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._guiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.checkCanApply)
            self.checkCanApply()

    def checkCanApply(self, caller=None, event=None):
        self.ui.applyButton.enabled = bool(self._parameterNode and self._parameterNode.fixed)
        self.ui.applyButton.toolTip = _("Count") if self.ui.applyButton.enabled else _("Select a fixed node")

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("It did not start.")):
            if self._parameterNode.device == "cuda":
                raise ValueError("there is no GPU; select the device cpu")
            self.ui.applyButton.text = _("Cancel")
            self.process = self.logic.start(self.onLine, self.onFinished)

    def onLine(self, line):
        self.ui.logText.appendPlainText(line)
        self.ui.progressBar.value = int(line)

    def onFinished(self, exitCode):
        self.ui.applyButton.text = _("Apply")
        self.process = None


class HostDemoLogic(ScriptedLoadableModuleLogic):
    COUNT = "import time\nfor percent in range(0, 101, 20): print(percent, flush=True); time.sleep(0.03)"

    def getParameterNode(self):
        return HostDemoParameterNode(super().getParameterNode())

    def start(self, onLine, onFinished):
        process = qt.QProcess()

        def read():
            while process.canReadLine():
                onLine(bytes(process.readLine().data()).decode().strip())

        process.connect("readyReadStandardOutput()", read)
        process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: onFinished(code))
        process.start("PythonSlicer", ["-c", self.COUNT])
        return process


class HostDemoTest(ScriptedLoadableModuleTest):
    def test_parameter_node(self):
        self.assertEqual(HostDemoLogic().getParameterNode().iterations, 30)
