"""Registration Review: what a registration did, whether to trust it, and mending it by hand."""

import shutil
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
from DiffRegLib.mrml import composed  # noqa: E402
from DiffRegLib.mrml.panel import packages, self_test  # noqa: E402
from DiffRegLib.mrml.panel.module import describe  # noqa: E402
from DiffRegLib.mrml.panel.observed_nodes import ObservedNodes  # noqa: E402
from DiffRegLib.mrml.panel.option_parameters import read_options  # noqa: E402
from DiffRegLib.mrml.panel.panel_widget import PanelWidget  # noqa: E402
from DiffRegLib.options import from_dict  # noqa: E402
from DiffRegLib.review.limits import LimitOptions, read_limits, write_limits  # noqa: E402
from RegistrationReviewLib import comparing, form, mending, scene_files  # noqa: E402
from RegistrationReviewLib.command import why_not  # noqa: E402
from RegistrationReviewLib.comparing import Comparing  # noqa: E402
from RegistrationReviewLib.parameters import GROUPS, INPUTS, RegistrationReviewParameterNode  # noqa: E402
from RegistrationReviewLib.placing import Placing  # noqa: E402
from RegistrationReviewLib.poses import PoseViews  # noqa: E402
from RegistrationReviewLib.reviewing import Reviewing, facts_of  # noqa: E402
from RegistrationReviewLib.tables import Tables  # noqa: E402

TITLE = "Registration Review"


class RegistrationReview(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        help = _(
            "Shows what a registration did and whether it can be trusted, whichever program made it. Choose the fixed "
            "and the moving image and the transform, and press Review: comparisons, maps of the field, folded regions, "
            "errors against limits, and what supports the field. Where it is wrong, place a pair of points: the "
            "transform is mended there, smoothly and without folds. The report is one file for a browser."
        )
        acknowledgement = _(
            "The limits follow K. K. Brock, S. Mutic, T. R. McNutt, H. Li, M. L. Kessler: Use of image registration "
            "and fusion algorithms and techniques in radiotherapy: Report of the AAPM Radiation Therapy Committee Task "
            "Group No. 132, Medical Physics 2017."
        )
        describe(self, _(TITLE), help, acknowledgement)


class RegistrationReviewWidget(PanelWidget):
    """The panel: connects widgets, parameter node, review, views and mending."""

    def setup(self):
        self.build(RegistrationReviewLogic())
        form.complete(self.ui)
        self.reviewing = Reviewing(self.onReviewEnded)
        self.comparing, self.poses = Comparing(), PoseViews()
        self.tables, self.placing = Tables(self.ui), Placing(self)
        self.mending = mending.Mending(self.onMended, self.onMendingSaid)
        self.observed = ObservedNodes(self, self.onInputModified)
        self.flicker = form.Flicker(self.ui.flickerButton, lambda: self._parameterNode)
        self.firstLook = None
        self._chosen = []
        for button, slot in (
            (self.ui.applyButton, self.onReviewButton),
            (self.ui.loadButton, self.onLoadButton),
            (self.ui.inverseButton, self.onInverseButton),
            (self.ui.reportButton, self.onReportButton),
            (self.ui.saveLimitsButton, self.onSaveLimitsButton),
            (self.ui.undoButton, self.onUndoButton),
            (self.ui.againButton, self.onAgainButton),
        ):
            button.connect("clicked(bool)", slot)
        self.ui.placeButton.connect("toggled(bool)", self.onPlaceToggled)
        self.shortcuts = [form.shortcut(self.parent, "B", self.onBeforeKey)]
        self.shortcuts.append(form.shortcut(self.parent, "Ctrl+Z", self.onUndoButton))
        self.initializeParameterNode()

    def cleanup(self):
        super().cleanup()
        self.reviewing.close()
        self.mending.close()
        self.flicker.close()

    @property
    def busy(self):
        return self.reviewing.running

    def leave(self):
        self.reviewing.cancel()
        self.mending.forget()
        self.placing.stop()
        self.flicker.stop()

    def exit(self):
        self.flicker.stop()
        self.ui.placeButton.checked = False
        self.mending.stop()
        self.firstLook = None
        mending.remove_first_look()
        self.comparing.leave(self._parameterNode)
        self.poses.leave()
        super().exit()

    def begin(self, parameterNode):
        self.mending.forget()
        if parameterNode and not parameterNode.parameterNode.GetParameter("limits_landmarks_good"):
            form.show_limits(parameterNode, read_limits())
        if not parameterNode:
            self.observed.follow(())

    def follow(self):
        parameters = self._parameterNode
        chosen = [parameters.getValue(role) for role in INPUTS]
        self.observed.follow([*chosen, parameters.pairs_fixed, parameters.pairs_moving])
        if chosen != self._chosen:  # what went wrong was about others
            self._chosen, self._message = chosen, ""
        self._showButtons(parameters)
        self.tables.show(facts_of(parameters))
        self.mending.update(parameters)
        self._showViews(parameters)

    def _showButtons(self, parameters):
        reason = "" if self.busy else why_not(parameters)
        form.show_buttons(self.ui, parameters, self.busy, reason, self._message)

    def _showViews(self, parameters):
        facts = facts_of(parameters)
        self.poses.update(facts, parameters.review)
        if not facts or "xrays" in facts:
            return
        try:
            if not self.placing.on:
                self.comparing.update(parameters, self.firstLook)
            comparing.show_look(parameters)
            self.ui.legendLabel.text = comparing.legend(parameters)
        except RegistrationError as error:
            self._message = str(error)
            self._showButtons(parameters)
        self._followMouse()

    def _followMouse(self):
        """The curtain hangs where the mouse is."""
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if crosshair is None:
            return
        event = crosshair.CursorPositionModifiedEvent
        if self.comparing.curtain is None:
            self.removeObservers(self.onCursorMoved)
        elif not self.hasObserver(crosshair, event, self.onCursorMoved):
            self.addObserver(crosshair, event, self.onCursorMoved)

    def onCursorMoved(self, caller, event):
        found = composed.cursor_place(caller)
        if found is not None and self.comparing.curtain is not None:
            self.comparing.curtain.move(*found)

    def onInputModified(self, caller=None, event=None):
        if self._parameterNode:
            self.onParametersModified()

    def onReviewButton(self, checked=False):
        """Starts a review; ends the one that runs."""
        if self.busy:
            self.reviewing.cancel()
            self.onParametersModified()
            return
        self._message = ""
        try:
            packages.ensure(_(TITLE))
            self.reviewing.start(self._parameterNode)
        except RegistrationError as error:
            self._message = str(error)
        self._showButtons(self._parameterNode)

    def onReviewEnded(self, error):
        self._message = error
        if not error and self._parameterNode.fixed is not None and not self._parameterNode.pose_result:
            form.center_views(self._parameterNode.fixed)
        self.onParametersModified()

    def onLoadButton(self, checked=False):
        """A result folder's job, or a transform file, into the scene."""
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Open a result or a transform"), "", scene_files.FILTER
        )
        if path:
            try:
                scene_files.load(path, self._parameterNode)
                self._message = ""
            except RegistrationError as error:
                self._message = str(error)
            self.onParametersModified()

    def onInverseButton(self, checked=False):
        scene_files.turn(self._parameterNode)
        self.onReviewButton()

    def onReportButton(self, checked=False):
        report = Path(self._parameterNode.report)
        if not report.is_file():
            slicer.util.warningDisplay(_("The report is not kept with the scene: press Review, then save it."))
            return
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save the report"), "review.html", _("Web page (*.html)")
        )
        if path:
            try:
                shutil.copyfile(report, path)
            except OSError as error:
                slicer.util.errorDisplay(
                    _("{path} cannot be written ({reason}): choose another folder.").format(
                        path=path, reason=error.strerror
                    )
                )

    def onSaveLimitsButton(self, checked=False):
        try:
            write_limits(from_dict(LimitOptions, read_options(self._parameterNode, GROUPS)["limits"]))
            self._message = ""
        except RegistrationError as error:
            self._message = str(error)
        self._showButtons(self._parameterNode)

    def onBeforeKey(self):
        if self._parameterNode:
            self._parameterNode.before = not self._parameterNode.before

    def onPlaceToggled(self, checked):
        parameters = self._parameterNode
        if checked and parameters and parameters.fixed is not None and parameters.moving is not None:
            self.comparing.leave(parameters)
            self.placing.start(parameters)
            qt.QTimer.singleShot(0, self.onPlacingSeen)
            return
        self.placing.stop()
        self.ui.placeButton.checked = False
        self.onParametersModified()

    def onPlacingSeen(self):
        """The views are there: what a correction needs is read before the first click."""
        if self.placing.on:
            self.mending.prepare(self._parameterNode)

    def onUndoButton(self, checked=False):
        if self._parameterNode:
            mending.undo(self._parameterNode)
            self.onParametersModified()

    def onMended(self, firstLook):
        """From the mending: a first look (a volume), or the whole is in the scene, or nothing is mended any more."""
        self.firstLook = firstLook
        if firstLook is None:
            mending.remove_first_look()
        if self._parameterNode and self.placing.on:
            self.placing.show(firstLook or self._parameterNode.warped)
        elif self._parameterNode and self._parameterNode.review:
            self.comparing.update(self._parameterNode, firstLook)

    def onMendingSaid(self, sentence):
        self.ui.mendLabel.text = sentence

    def onAgainButton(self, checked=False):
        try:
            scene_files.register_again(self._parameterNode)
        except RegistrationError as error:
            self.ui.mendLabel.text = str(error)


class RegistrationReviewLogic(ScriptedLoadableModuleLogic):
    """The parameter node; for scripts, `diffreg review` is the way."""

    def getParameterNode(self):
        return RegistrationReviewParameterNode(super().getParameterNode())


class RegistrationReviewTest(self_test.PanelTest):
    """Mends a shift that is known."""

    def test_pair_is_undone(self):
        """The last pair goes, whichever half of it is there."""
        parameters = RegistrationReviewLogic().getParameterNode()
        fixed, moving = mending.pair_nodes(parameters)
        fixed.AddControlPoint(0, 0, 0)
        moving.AddControlPoint(1, 0, 0)
        fixed.AddControlPoint(5, 0, 0)
        mending.undo(parameters)
        self.assertEqual((fixed.GetNumberOfControlPoints(), moving.GetNumberOfControlPoints()), (1, 1))
        mending.undo(parameters)
        self.assertIsNone(mending.pairs_of(parameters))
