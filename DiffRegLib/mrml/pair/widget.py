"""The panel of a pair: connects widgets, parameter node and logic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import Event
from DiffRegLib.mrml.pair import words
from DiffRegLib.mrml.pair.checks import why_not
from DiffRegLib.mrml.pair.form import PairForm
from DiffRegLib.mrml.pair.parameters import follow_preset, node_inputs, reset_to_preset
from DiffRegLib.mrml.pair.result_views import ResultViews
from DiffRegLib.mrml.panel import packages
from DiffRegLib.mrml.panel.apply_button import ApplyButton
from DiffRegLib.mrml.panel.messages import words as message
from DiffRegLib.mrml.panel.observed_nodes import ObservedNodes
from DiffRegLib.mrml.panel.panel_widget import PanelWidget
from DiffRegLib.mrml.panel.review import open_review
from DiffRegLib.mrml.panel.runner import Runner

FORM = Path(__file__).with_name("pair.ui")


class PairWidget(PanelWidget):
    """Base of the panels of two images: all of one, but for its words.

    titles: what the groups of options are called. help: of inputs by role, where a method says more of them than that.
    A module that has widgets of its own has them in `Resources/UI/<module>.ui`: they come between outputs and options.
    """

    titles: Mapping[str, str] = {}
    help: Mapping[str, str] = {}

    def setup(self) -> None:
        logic = self.makeLogic()
        self.method = logic.settings.method
        self.build(logic, FORM)
        self.form = PairForm(self.ui, self.method, self.titles, self.help)
        self.applyButton = ApplyButton(self.ui)
        self.runner = Runner(self.ui, self.onRunEnded, self.onProgress)
        self.views = ResultViews(self.ui.flickerButton, lambda: self._parameterNode)
        self.observed = ObservedNodes(self, self.onInputModified, moved=True)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.resetButton.connect("clicked(bool)", self.onResetButton)
        self.ui.reviewButton.connect("clicked(bool)", self.onReviewButton)
        self.initializeParameterNode()

    def makeLogic(self) -> Any:
        """The logic of the module, a `PairLogic`."""
        raise NotImplementedError

    def cleanup(self) -> None:
        super().cleanup()
        self.runner.view.loss_view.clear()

    @property
    def busy(self) -> bool:
        return self.runner.running

    def exit(self) -> None:
        self.views.stop()
        super().exit()

    def leave(self) -> None:
        self.views.stop()
        self.runner.cancel()

    def begin(self, parameterNode: Any) -> None:
        if parameterNode:
            follow_preset(parameterNode)
            self.views.accept()
        else:
            self.observed.follow(())

    def follow(self) -> None:
        parameters = self._parameterNode
        follow_preset(parameters)
        self.observed.follow(parameters.getValue(i.role) for i in node_inputs(self.method))
        self._updateApply()
        self.form.show_result(parameters)
        self.runner.show(parameters)
        self.views.update()

    def onInputModified(self, caller: Any = None, event: str | None = None) -> None:
        """Content that arrives later (points that are placed, segments that are drawn) can make Apply possible."""
        if self._parameterNode:
            self._updateApply()

    def _updateApply(self) -> None:
        reason = "" if self.busy else why_not(self._parameterNode)
        self.applyButton.show(self.busy, reason, self._message)

    def onApplyButton(self, checked: bool = False) -> None:
        """Starts a registration; cancels the one that runs."""
        if self.busy:
            self.runner.cancel(_("Canceled; the scene is as it was."))
            self.onParametersModified()
            return
        self._message, title = "", _(self.method.title)
        try:
            packages.ensure(title)
            self.runner.start(
                lambda listener: self.logic.start(self._parameterNode, listener),
                _("Loss of {title}").format(title=title),
                self._parameterNode,
            )
        except RegistrationError as error:
            self._message = message(error, words.LABELS)
        self._updateApply()

    def onProgress(self, event: Event) -> None:
        """From the runner: a line of progress, beyond what every panel shows of it."""

    def onRunEnded(self, error: str) -> None:
        """From the runner: a registration is over that was not canceled."""
        self._message = error
        if not error:
            self.views.show_new()
        self.onParametersModified()

    def onReviewButton(self, checked: bool = False) -> None:
        """Opens the result in Registration Review."""
        try:
            open_review(self._parameterNode, self.moduleName)
            self._message = ""
        except RegistrationError as error:
            self._message = message(error, words.LABELS)
        self._updateApply()

    def onResetButton(self, checked: bool = False) -> None:
        reset_to_preset(self._parameterNode)
