"""X-ray Pose: where a CT was when one or two X-rays of it were taken, by hand and by registration."""

import sys
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleLogic

# The library lies beside this file where the extension is installed, and above it in the repository.
for _folder in Path(__file__).resolve().parents:
    if (_folder / "DiffRegLib" / "__init__.py").is_file():
        if str(_folder) not in sys.path:
            sys.path.insert(0, str(_folder))
        break

from DiffRegLib.errors import RegistrationError  # noqa: E402  (the library has to be found first)
from DiffRegLib.mrml.panel import packages, self_test  # noqa: E402
from DiffRegLib.mrml.panel.messages import words  # noqa: E402
from DiffRegLib.mrml.panel.module import describe  # noqa: E402
from DiffRegLib.mrml.panel.panel_widget import PanelWidget  # noqa: E402
from DiffRegLib.mrml.panel.review import open_pose  # noqa: E402
from DiffRegLib.mrml.panel.run import Run, Waiter  # noqa: E402
from XRayPoseLib import checks, review, sample_data  # noqa: E402
from XRayPoseLib.actions import Actions  # noqa: E402
from XRayPoseLib.form import PanelForm  # noqa: E402
from XRayPoseLib.observed import Observed  # noqa: E402
from XRayPoseLib.parameters import LABELS, METHOD, XRayPoseParameterNode  # noqa: E402
from XRayPoseLib.plan import PosePlan  # noqa: E402
from XRayPoseLib.pose import Pose  # noqa: E402
from XRayPoseLib.pose_form import PoseForm  # noqa: E402
from XRayPoseLib.registration import Registration  # noqa: E402
from XRayPoseLib.session import Session  # noqa: E402

HELD_MS = 100  # until it is looked again whether the hand has let go


class XRayPose(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        help = _(
            "Finds where the patient of a CT was when one or two X-rays were taken. Choose a CT and an X-ray, say how "
            "the X-ray was taken (DICOM tags, a geometry file, or by hand), and press Live radiograph: the radiograph "
            "of the CT lies over the X-ray and follows while the CT is dragged. Refine finishes what the hand has "
            "begun; Find from scratch looks for the pose from many starts. The result is a linear transform over the "
            "CT, with its uncertainty and a verdict."
        )
        acknowledgement = _(
            "The projector follows C. Gao, X. Liu, W. Gu, B. Killeen, M. Armand, R. Taylor, M. Unberath: Generalizing "
            "Spatial Transformers to Projective Geometry with Applications to 2D/3D Registration, MICCAI 2020 (ProST)."
        )
        describe(self, _(METHOD.title), help, acknowledgement, self.registerSampleData)

    @staticmethod
    def registerSampleData(icons):
        """Adds a chest with its X-ray to the module Sample Data; makes and downloads nothing."""
        sample_data.register(icons, lambda: XRayPoseLogic().getParameterNode())


class XRayPoseWidget(PanelWidget):
    """The panel: connects widgets, parameter node, live radiograph and registration."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.pose = self.session = None

    def setup(self):
        self.build(XRayPoseLogic())
        self.form = PanelForm(self.ui)
        self.poseForm = PoseForm(self.ui, lambda: self._parameterNode, lambda: self.pose)
        self.actions = Actions(
            self.ui, lambda: self._parameterNode, lambda: self.pose, lambda: self.session, self.attempt
        )
        self.registration = Registration(self.ui, self)
        self.observed = Observed(self, self.onSceneContentModified)
        self.ui.refineButton.connect("clicked(bool)", lambda on: self.onRunButton(search=False))
        self.ui.findButton.connect("clicked(bool)", lambda on: self.onRunButton(search=True))
        self.ui.reviewButton.connect("clicked(bool)", self.onReviewButton)
        self.initializeParameterNode()

    def cleanup(self):
        super().cleanup()
        self.registration.close()
        self.pose = self.session = None

    @property
    def busy(self):
        return self.registration.running

    def leave(self):
        """The live radiograph ends with the scene; when another module is entered it stays useful beside it."""
        self.registration.cancel()
        if self.session is not None:
            self.session.stop()

    def begin(self, parameterNode):
        known = self.session.parameters.parameterNode if self.session else None
        same = bool(parameterNode and known is parameterNode.parameterNode)
        if not same and self.session is not None:
            self.session.stop()
        if same:  # two of one node differ a while: the new one knows what has been loaded
            self.session.parameters = self.pose.parameters = parameterNode
        elif parameterNode:
            self.pose = Pose(parameterNode)
            self.session = Session(parameterNode, self.pose, self.onRested)

    def follow(self):
        self._followLive()
        self.observed.follow(self._parameterNode)  # the pose too, which may be a new one
        self.session.held = self.registration.running
        self.session.update()
        self._show()
        self.registration.runner.show(self._parameterNode)

    def onParametersModified(self, caller=None, event=None):
        super().onParametersModified(caller, event)
        if self._parameterNode and not self._updating:
            self.actions.follow()

    def onSceneContentModified(self, caller=None, event=None):
        """Of a node that the settings name: its content, its segments, its points."""
        if self._parameterNode and self._gui is not None:
            self.onParametersModified()

    def _followLive(self):
        """Starts, restarts or ends the live radiograph, as the settings and the inputs ask for."""
        parameters, session = self._parameterNode, self.session
        try:
            if parameters.live and not session.running and not slicer.mrmlScene.IsBatchProcessing():
                self._message = ""
                reason, _about = checks.why_not(parameters)
                if reason:
                    raise RegistrationError(reason)
                packages.ensure(_(METHOD.title))
                session.start()
            elif not parameters.live and session.running:
                session.stop()
            elif session.outdated:
                session.restart()
                self._message = ""
        except RegistrationError as error:
            session.stop()
            parameters.live = False
            reason, _about = checks.why_not(parameters)
            said = words(error, LABELS)
            self._message = "" if said == reason else said  # a reason goes when it is no more

    def _show(self):
        """The words and the switches of the widgets."""
        parameters, live, running = self._parameterNode, self.session.running, self.registration.running
        reason, about = checks.why_not(parameters)
        self.form.show_inputs(parameters, running)
        self.form.show_reason(reason, about, self._message)
        self.ui.liveButton.enabled = bool(live or not reason)
        self.poseForm.show(bool(live and not running))
        self.form.show_landmarks(parameters, live and not running)
        self.registration.show_buttons(reason)
        self.form.show_result(parameters)

    def onRested(self):
        """The CT has come to rest: one step of the history, and the numbers of the pose."""
        if self.registration.running or not self._parameterNode or not self.session.running:
            return
        if slicer.app.mouseButtons() != qt.Qt.NoButton:  # a slow drag is one step too
            qt.QTimer.singleShot(HELD_MS, self.onRested)
            return
        self.pose.settle()
        self.poseForm.show(True)
        rate = self.session.view.frames_per_second
        self.ui.rateLabel.text = _("{rate:.0f} pictures a second").format(rate=rate) if rate else ""

    def onPoseModified(self):
        """The CT moves: the numbers follow, whoever moves it."""
        if self.session is not None and self.session.running:
            self.poseForm.show_numbers()

    def attempt(self, action):
        """Does what a button asks for; what is wrong, or what the action returns, is told under the buttons."""
        self._message = ""
        try:
            packages.ensure(_(METHOD.title))
            self._message = action() or ""
        except RegistrationError as error:
            self._message = words(error, LABELS)
        self.onParametersModified()

    def onRunButton(self, search):
        """Starts a registration; cancels the one that runs."""
        if self.registration.running:
            self.registration.ask()
            return
        self.attempt(lambda: self.registration.start(self.logic, self._parameterNode, self.pose, search))

    def onReviewButton(self, checked=False):
        """Opens the last result in Registration Review."""
        self.attempt(lambda: open_pose(review.write_result(self._parameterNode)))

    def registrationEnded(self, error):
        """From the registration: it is over, however it ended."""
        self._message = error
        self.onParametersModified()


class XRayPoseLogic(ScriptedLoadableModuleLogic):
    """Registers what a parameter node names; needs no panel."""

    def getParameterNode(self):
        return XRayPoseParameterNode(super().getParameterNode())

    def start(self, parameters, search, listener, pose=None) -> Run:
        """Starts a registration from the pose as it is and returns at once; see `DiffRegLib.mrml.panel.run`.

        Raises `RegistrationError` where it cannot be started.
        """
        reason, _about = checks.why_not(parameters)
        if reason:
            raise RegistrationError(reason)
        pose = pose or Pose(parameters)
        pose.ensure()
        return Run(PosePlan(parameters, search, pose.matrix, pose.move), listener)

    def process(self, parameters, search=True) -> None:
        """Registers and returns when it is done, for scripts; the window stays alive. Raises `RegistrationError`."""
        waiter = Waiter()
        run = self.start(parameters, search, waiter)
        waiter.wait(run)


class XRayPoseTest(self_test.PanelTest):
    """Finds the pose of a block with two holes again; runs inside Slicer and in the test host."""

    def test_pose_comes_back(self):
        from XRayPoseLib import block

        self.delayDisplay("Finding the pose of a block")
        logic = XRayPoseLogic()
        parameters = logic.getParameterNode()
        truth = block.choose(parameters)
        logic.process(parameters, search=False)
        self.assertLess(block.error_mm(parameters, truth), 0.5)
        self.delayDisplay("The pose came back")
