"""The run of a panel: started, shown, canceled, and its end told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.jobs import Event
from DiffRegLib.mrml.panel.run import Listener, Run
from DiffRegLib.mrml.panel.run_view import RunView


class Runner:
    """One run at a time, shown in the widgets of `RunView` and the section `resultCollapsibleButton`.

    ended: called when a run is over that was not canceled, with "" or the sentence of what went wrong; the result is
    then in the scene. progressed: called with every line of progress.
    """

    def __init__(
        self, ui: Any, ended: Callable[[str], None], progressed: Callable[[Event], None] = lambda event: None
    ) -> None:
        self._ui, self._ended, self._progressed = ui, ended, progressed
        self._parameters: Any = None
        self.run: Run | None = None
        self.view = RunView(ui)

    @property
    def running(self) -> bool:
        return self.run is not None

    def start(self, begin: Callable[[Listener], Run], title: str, parameters: Any) -> None:
        """Starts what `begin` makes; title: of its plot. Raises what that raises, and then nothing has changed."""
        self.run = begin(self)
        self._parameters = parameters
        self.view.begin(title, parameters.parameterNode)

    def cancel(self, sentence: str = "") -> None:
        """Ends the run, where there is one, and takes what belongs to it out of the scene; sentence: for the log."""
        if self.run is not None:
            self.run.cancel()
            self.run = None
            self.view.discard(self._parameters.loss)
            if sentence:
                self.view.log(sentence)

    def show(self, parameters: Any) -> None:
        """The loss of the last run, while none goes on."""
        if self.run is None:
            self.view.loss_view.show(parameters.loss, parameters.parameterNode)

    def note(self, sentence: str) -> None:
        """From the run: something that the person should know."""
        self.view.log(sentence)

    def progress(self, event: Event) -> None:
        """From the run: a line of progress."""
        self.view.progress(event)
        self._progressed(event)

    def traced(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """From the run: the loss of all iterations."""
        self.view.traced(rows)

    def ended(self, error: str, details: str) -> None:
        """From the run: it is over."""
        self.run = None
        if error:
            self.view.discard(self._parameters.loss)
            self.view.log(error)
            self.view.log_details(details)
        else:
            self.view.log(_("Finished."))
            self._parameters.loss = self.view.keep(self._parameters.loss)
            self._ui.resultCollapsibleButton.collapsed = False
        self._ended(error)
