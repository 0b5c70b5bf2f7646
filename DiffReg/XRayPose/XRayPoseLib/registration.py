"""Refine and Find from scratch: the pose moves while they run, and a question of one click when they are canceled."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.panel.runner import Runner

SHORTEST_INTERVAL = 0.1  # seconds between two poses that are shown
BUTTONS = ("refineButton", "findButton")


class Registration:
    """Drives the buttons and the run; panel: told by `registrationEnded`."""

    def __init__(self, ui: Any, panel: Any) -> None:
        self._ui, self._panel = ui, panel
        self.runner = Runner(ui, self._ended, self._progressed)
        self._pose: Any = None
        self._start: np.ndarray | None = None
        self._best: np.ndarray | None = None
        self._search, self._shown, self._made = False, 0.0, False  # made: whether the pose came with the run
        ui.keepButton.connect("clicked(bool)", self._keep)
        ui.backButton.connect("clicked(bool)", self._back)

    @property
    def running(self) -> bool:
        return self.runner.running

    def start(self, logic: Any, parameters: Any, pose: Any, search: bool) -> None:
        """Starts from the pose as it is; raises RegistrationError."""
        self._answered()
        made = pose.node is None
        pose.ensure()
        pose.settle()
        try:
            self.runner.start(
                lambda listener: logic.start(parameters, search, listener, pose), _("Loss of the pose"), parameters
            )
        except RegistrationError:
            if made:
                pose.forget()
            raise
        self._made = made
        self._pose, self._search = pose, search
        self._start, self._best = pose.matrix, None

    def cancel(self) -> None:
        """Ends the run, where there is one, and brings the CT back."""
        if self.running:
            self.runner.cancel()
            self._go_back()
        self._answered()

    def ask(self) -> None:
        """Ends the run and asks whether the best pose so far is to be kept, where there is one."""
        if self._best is None:
            self.runner.cancel(_("Canceled; the CT is where it was."))
            self._go_back()
        else:
            self.runner.cancel(_("Canceled."))
            self._pose_to(self._best)
            self._ui.questionFrame.setVisible(True)
        self._panel.registrationEnded("")

    def close(self) -> None:
        """The panel goes."""
        self.cancel()
        self.runner.view.loss_view.clear()

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

    def _progressed(self, event: Any) -> None:
        """A line of progress, with the best pose so far."""
        if event.pose is not None:
            self._best = np.array(event.pose).reshape(4, 4)
            if time.monotonic() - self._shown > SHORTEST_INTERVAL:
                self._shown = time.monotonic()
                self._pose_to(self._best)

    def _ended(self, error: str) -> None:
        if error:
            self._go_back()
        else:
            self._pose.settle()
        self._panel.registrationEnded(error)

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
