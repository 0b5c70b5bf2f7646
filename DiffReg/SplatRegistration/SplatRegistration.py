"""Splat Registration: brings vessels, organs, surfaces or points of one image onto those of another."""

import random
import sys
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# The library lies beside this file where the extension is installed, and above it in the repository.
for _folder in Path(__file__).resolve().parents:
    if (_folder / "DiffRegLib" / "__init__.py").is_file():
        if str(_folder) not in sys.path:
            sys.path.insert(0, str(_folder))
        break

from DiffRegLib.errors import RegistrationError  # noqa: E402  (the library has to be found first)
from DiffRegLib.mrml.panel import packages  # noqa: E402
from DiffRegLib.mrml.panel.run import Run, Waiter  # noqa: E402
from DiffRegLib.mrml.panel.run_view import RunView  # noqa: E402
from SplatRegistrationLib import sample_data  # noqa: E402
from SplatRegistrationLib.checks import why_not  # noqa: E402
from SplatRegistrationLib.form import PanelForm  # noqa: E402
from SplatRegistrationLib.parameters import (  # noqa: E402
    ROLES,
    Preset,
    SplatRegistrationParameterNode,
    follow_preset,
    reset_to_preset,
)
from SplatRegistrationLib.plan import SplatPlan  # noqa: E402
from SplatRegistrationLib.result_views import ResultViews  # noqa: E402


class SplatRegistration(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Splat Registration")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = []
        self.parent.contributors = [_("The DiffReg developers")]
        self.parent.helpText = _(
            "Brings one image onto another by the points that both show: the vessels of the lungs, the surfaces of "
            "organs, labels, models or lists of points. Choose the fixed and the moving input and a preset, and press "
            "Apply. The result is a transform with its inverse, and the moving input brought onto the fixed one. The "
            "work runs in another process: Slicer can be used meanwhile, and Cancel leaves the scene as it was. "
            "Inputs under a transform are taken where they are seen."
        )
        self.parent.acknowledgementText = _(
            "The method follows M. P. Heinrich, A. Bigalke, C. Großbröhmer, L. Hansen: Chasing Clouds: Differentiable "
            "Volumetric Rasterisation of Point Clouds as a Highly Efficient and Accurate Loss for Large-Scale "
            "Deformable 3D Registration, ICCV 2023 (DiVRoC). Forward splatting registration is covered by the patent "
            "EP4535285A3: commercial use needs a license from its holders."
        )
        slicer.app.connect("startupCompleted()", self.registerSampleData)

    def registerSampleData(self):
        """Adds the breathing patient to the module Sample Data; makes and downloads nothing."""
        sample_data.register(Path(self.resourcePath("Icons")))


class SplatRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: connects widgets, parameter node and logic."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._run = None
        self._message = ""
        self._updating = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SplatRegistration.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SplatRegistrationLogic()
        self.form = PanelForm(self.ui)
        self.runView = RunView(self.ui)
        self.views = ResultViews(self.ui.flickerButton, lambda: self._parameterNode)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.resetButton.connect("clicked(bool)", self.onResetButton)
        self.initializeParameterNode()

    def cleanup(self):
        self.views.stop()
        self.cancel()
        self.runView.loss_view.clear()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.views.stop()
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObservers(self.onParametersModified)

    def onSceneStartClose(self, caller, event):
        self.views.stop()
        self.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        """The nodes that the settings name have arrived after the settings."""
        if self.parent.isEntered and self._run is None:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObservers(self.onParametersModified)
        self._parameterNode = parameterNode
        self._message = ""
        if parameterNode:
            follow_preset(parameterNode)
            self.views.accept()
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            self.onParametersModified()

    def onParametersModified(self, caller=None, event=None):
        """Brings everything in line with the parameter node, and with the nodes that it names."""
        if self._updating or not self._parameterNode:
            return
        self._updating = True
        try:
            follow_preset(self._parameterNode)
            self._observeInputs()
            self._updateApply()
            self.form.show_result(self._parameterNode)
            if self._run is None:
                self.runView.loss_view.show(self._parameterNode.loss, self._parameterNode.parameterNode)
            self.views.update()
        finally:
            self._updating = False

    def _observeInputs(self):
        """Content that arrives later (points that are placed, segments that are drawn) can make Apply possible."""
        nodes = {self._parameterNode.getValue(role) for role in ROLES} - {None}
        for node, event in [(n, e) for n in nodes for e in self.form.content_events(n)]:
            if not self.hasObserver(node, event, self.onInputModified):
                self.addObserver(node, event, self.onInputModified)

    def onInputModified(self, caller=None, event=None):
        if self._parameterNode:
            self._updateApply()

    def _updateApply(self):
        running = self._run is not None
        self.form.show_apply(running, "" if running else why_not(self._parameterNode), self._message)

    def onApplyButton(self, checked=False):
        """Starts a registration; cancels the one that runs."""
        if self._run is not None:
            self.cancel()
            self.runView.log(_("Canceled; the scene is as it was."))
            self.onParametersModified()
            return
        self._message = ""
        try:
            packages.ensure(_("Splat Registration"))
            self._run = self.logic.start(self._parameterNode, self)
        except RegistrationError as error:
            self._message = str(error)
        else:
            self.runView.begin(_("Loss of the registration"), self._parameterNode.parameterNode)
        self._updateApply()

    def cancel(self):
        """Ends the run, where there is one, and takes everything that belongs to it out of the scene."""
        if self._run is not None:
            self._run.cancel()
            self._run = None
            self.runView.discard(self._parameterNode.loss)

    def note(self, sentence):
        """From the run: something that the person should know."""
        self.runView.log(sentence)

    def progress(self, event):
        """From the run: a line of progress."""
        self.runView.progress(event)

    def ended(self, error, details):
        """From the run: it is over."""
        self._run = None
        self._message = error
        if error:
            self.runView.discard(self._parameterNode.loss)
            self.runView.log(error)
            self.runView.log_details(details)
        else:
            self.runView.log(_("Finished."))
            self._parameterNode.loss = self.runView.keep(self._parameterNode.loss)
            self.ui.resultCollapsibleButton.collapsed = False
            self.views.show_new()
        self.onParametersModified()

    def onResetButton(self, checked=False):
        reset_to_preset(self._parameterNode)


class SplatRegistrationLogic(ScriptedLoadableModuleLogic):
    """Registers what a parameter node names; needs no panel."""

    def getParameterNode(self):
        return SplatRegistrationParameterNode(super().getParameterNode())

    def start(self, parameters, listener) -> Run:
        """Starts a registration and returns at once; see `DiffRegLib.mrml.panel.run` for what the listener hears.

        Raises `RegistrationError` where it cannot be started.
        """
        follow_preset(parameters)
        if reason := why_not(parameters):
            raise RegistrationError(reason)
        return Run(SplatPlan(parameters), listener)

    def process(self, parameters) -> None:
        """Registers and returns when it is done, for scripts; the window stays alive. Raises `RegistrationError`."""
        waiter = Waiter()
        run = self.start(parameters, waiter)
        waiter.wait(run)


class SplatRegistrationTest(ScriptedLoadableModuleTest):
    """Registers two lists of points whose answer is known; runs inside Slicer and in the test host."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_shifted_points_come_back()

    def test_shifted_points_come_back(self):
        self.delayDisplay("Registering a cloud with its shifted copy")
        shift = (6.0, -4.0, 5.0)
        generator = random.Random(0)
        cloud = [[generator.uniform(-60, 60) for _axis in range(3)] for _point in range(400)]
        logic = SplatRegistrationLogic()
        parameters = logic.getParameterNode()
        parameters.preset = Preset["generic-points"]
        parameters.splatting_search = False  # a shift needs neither search nor detail
        parameters.splatting_fine_sigmas, parameters.splatting_fine_iterations = "8", 10
        parameters.splatting_control_spacing, parameters.splatting_voxel = 16.0, 4.0
        parameters.fixed = self._points("Fixed", cloud)
        parameters.moving = self._points("Moving", [[x + d for x, d in zip(point, shift)] for point in cloud])
        logic.process(parameters)
        errors = [
            sum((a - b) ** 2 for a, b in zip(point, parameters.output_warped.GetNthControlPointPosition(n))) ** 0.5
            for n, point in enumerate(cloud)
        ]
        self.assertLess(sum(errors) / len(errors), 1.0)
        self.delayDisplay("The cloud came back")

    def _points(self, name, positions):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        for position in positions:
            node.AddControlPoint(position)
        return node
