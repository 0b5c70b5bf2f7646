"""A run as the panel shows it: progress with the time left, the loss, and a log."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.jobs import Event
from DiffRegLib.mrml.panel.loss_plot import LossPlot, LossView, remove_chart

PLOT_HEIGHT = 170  # pixels
SHORTEST_INTERVAL = 0.1  # seconds between two changes of the words
MOST_LINES = 5000


class RunView:
    """Drives the widgets `progressBar`, `statusLabel` and `logTextEdit` of a panel's `ui`, and a plot above the log."""

    def __init__(self, ui: Any) -> None:
        self._ui, self._message = ui, ""
        self._loss: LossPlot | None = None
        self._shown = 0.0
        self.loss_view = LossView(PLOT_HEIGHT)
        ui.progressCollapsibleButton.layout().insertWidget(0, self.loss_view.widget)
        ui.logTextEdit.setMaximumBlockCount(MOST_LINES)

    def begin(self, name: str, owner: Any) -> None:
        """A run starts; owner: the parameter node."""
        self._loss = LossPlot(name)
        self.loss_view.show(self._loss.chart, owner)
        self._ui.logTextEdit.clear()
        self._message = ""
        self._ui.progressBar.value = 0
        self._ui.progressBar.format = _("Preparing the input")
        self._ui.progressBar.setVisible(True)
        self._ui.progressCollapsibleButton.collapsed = False
        self.log(_("Started."))

    def progress(self, event: Event) -> None:
        """A line of progress."""
        if self._loss is not None and event.loss is not None and event.iteration is not None:
            self._loss.add(event.stage, event.level, event.iteration, event.loss)
        if event.message and event.message != self._message:
            self._message = event.message
            self.log(event.message)
        if time.monotonic() - self._shown > SHORTEST_INTERVAL and not (event.done or event.error):
            self._shown = time.monotonic()
            self._ui.progressBar.value = round(1000 * event.fraction)
            self._ui.progressBar.format = _words(event)

    def traced(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """All iterations of a run that ended well, see `TraceRow`."""
        known = [r for r in rows if None not in (r["similarity"], r["regularization"])]  # null: not finite
        if self._loss is not None and known:
            self._loss.replace(
                (r["stage"] or None, r["level"], r["iteration"], r["similarity"] + r["regularization"]) for r in known
            )

    @property
    def points(self) -> int:
        """How many losses of the run that goes on have arrived."""
        return self._loss.points if self._loss is not None else 0

    def keep(self, replaced: Any) -> Any:
        """The run ended well: its loss stays in the scene in place of the one before; returns the chart."""
        self._ui.progressBar.setVisible(False)
        loss, self._loss = self._loss, None
        loss.draw()
        if replaced is not None:
            remove_chart(replaced)
        return loss.chart

    def discard(self, before: Any = None) -> None:
        """The run did not end well: nothing of it stays in the scene. before: an earlier run's chart, shown again."""
        self._ui.progressBar.setVisible(False)
        self.loss_view.show(before)
        if self._loss is not None:
            remove_chart(self._loss.chart)
            self._loss = None

    def log(self, sentence: str) -> None:
        """Adds a line with the time of day."""
        self._ui.logTextEdit.appendPlainText(f"{time.strftime('%H:%M:%S')}  {sentence}")

    def log_details(self, details: str) -> None:
        """Adds what a developer wants to read."""
        if details:
            self._ui.logTextEdit.appendPlainText(details.rstrip())


def _words(event: Event) -> str:
    left = event.seconds_left()
    if left is None:
        return f"{100 * event.fraction:.0f} %"
    return _("{percent:.0f} %, {left} left").format(percent=100 * event.fraction, left=_duration(left))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return _("{n:.0f} s").format(n=seconds)
    return _("{n:.0f} min").format(n=seconds / 60)
