"""Refine and Find from scratch: the pose moves while they run, and a question of one click when they are canceled."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError

SHORTEST_INTERVAL = 0.1  # seconds between two poses that are shown
BUTTONS = ("refineButton", "findButton")


class Registration:
    """Drives the buttons and the run; panel: told by `registrationEnded`."""

    def __init__(self, ui: Any, run_view: Any, panel: Any) -> None:
        self._ui, self.run_view, self._panel = ui, run_view, panel
        self._run: Any = None
        self._parameters: Any = None
        self._pose: Any = None
        self._start: np.ndarray | None = None
        self._best: np.ndarray | None = None
        self._search, self._shown, self._made = False, 0.0, False  # made: whether the pose came with the run
        ui.keepButton.connect("clicked(bool)", self._keep)
        ui.backButton.connect("clicked(bool)", self._back)

    @property
    def running(self) -> bool:
        return self._run is not None

    def start(self, logic: Any, parameters: Any, pose: Any, search: bool) -> None:
        """Starts from the pose as it is; raises RegistrationError."""
        self._answered()
        made = pose.node is None
        pose.ensure()
        pose.settle()
        try:
            run = logic.start(parameters, search, self, pose)
        except RegistrationError:
            if made:
                pose.forget()
            raise
        self._made = made
        self._run, self._parameters, self._pose, self._search = run, parameters, pose, search
        self._start, self._best = pose.matrix, None
        self.run_view.begin(_("Loss of the pose"), parameters.parameterNode)

    def cancel(self) -> None:
        """Ends the run, where there is one, and brings the CT back."""
        if self._run is not None:
            self._stop()
            self._go_back()
        self._answered()

    def ask(self) -> None:
        """Ends the run and asks whether the best pose so far is to be kept, where there is one."""
        best = self._best
        self._stop()
        if best is None:
            self._go_back()
            self.run_view.log(_("Canceled; the CT is where it was."))
        else:
            self._pose_to(best)
            self.run_view.log(_("Canceled."))
            self._ui.questionFrame.setVisible(True)
        self._panel.registrationEnded("")

    def close(self) -> None:
        """The panel goes."""
        self.cancel()
        self.run_view.loss_view.clear()

    def show(self, parameters: Any) -> None:
        """The plot of the last registration, while none runs."""
        if self._run is None:
            self.run_view.loss_view.show(parameters.loss, parameters.parameterNode)

    def show_buttons(self, reason: str) -> None:
        """One of the two buttons becomes Cancel while a registration runs."""
        titles = (_("Refine"), _("Find from scratch"))
        tips = (
            _("Descend from this pose in another process; Slicer can be used meanwhile."),
            _("Look for the pose from many starts in another process; Slicer can be used meanwhile."),
        )
        for searches, (name, title, tip) in enumerate(zip(BUTTONS, titles, tips)):
            button, mine = getattr(self._ui, name), self.running and bool(searches) == self._search
            button.text = _("Cancel") if mine else title
            button.enabled = bool(mine or (not self.running and not reason))
            button.toolTip = _("End the registration; then the best pose so far can be kept.") if mine else tip

    def note(self, sentence: str) -> None:
        """From the run: something that the person should know."""
        self.run_view.log(sentence)

    def progress(self, event: Any) -> None:
        """From the run: a line of progress, with the best pose so far."""
        self.run_view.progress(event)
        if event.pose is not None:
            self._best = np.array(event.pose).reshape(4, 4)
            if time.monotonic() - self._shown > SHORTEST_INTERVAL:
                self._shown = time.monotonic()
                self._pose_to(self._best)

    def ended(self, error: str, details: str) -> None:
        """From the run: it is over."""
        self._run = None
        if error:
            self._go_back()
            self.run_view.discard(self._parameters.loss)
            self.run_view.log(error)
            self.run_view.log_details(details)
        else:
            self.run_view.log(_("Finished."))
            self._parameters.loss = self.run_view.keep(self._parameters.loss)
            self._ui.resultCollapsibleButton.collapsed = False
            self._pose.settle()
        self._panel.registrationEnded(error)

    def _stop(self) -> None:
        self._run.cancel()
        self._run = None
        self.run_view.discard(self._parameters.loss)

    def _pose_to(self, matrix: np.ndarray) -> None:
        """Moves the CT, unless its pose has been taken out of the scene meanwhile."""
        if self._pose.node is not None and self._pose.node.GetScene() is not None:
            self._pose.move(matrix)

    def _go_back(self) -> None:
        """The CT is where it was; a pose that was made for the run goes, unless it is being looked at."""
        self._pose_to(self._start)
        if self._made and not self._panel.session.running:
            self._pose.forget()

    def _keep(self, checked: bool = False) -> None:
        self._pose.settle()
        self._answered()
        self._panel.registrationEnded("")

    def _back(self, checked: bool = False) -> None:
        self._go_back()
        self._answered()
        self._panel.registrationEnded("")

    def _answered(self) -> None:
        self._ui.questionFrame.setVisible(False)
