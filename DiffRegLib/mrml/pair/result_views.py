"""The switches of the Result section: they lead the views while a result is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from DiffRegLib.mrml.pair import displays

FLICKER_MS = 600


class ResultViews:
    """Brings the views in line with the settings, and flickers; parameters: gives the parameter node or None."""

    def __init__(self, button: Any, parameters: Callable[[], Any]) -> None:
        self._button, self._parameters = button, parameters
        self._shown: tuple[Any, ...] | None = None
        self.after = True
        self._timer = qt.QTimer()
        self._timer.setInterval(FLICKER_MS)
        self._timer.connect("timeout()", self._flicker)
        button.connect("toggled(bool)", self._toggle)

    @property
    def flickers(self) -> bool:
        """Whether the views alternate at this moment."""
        return self._timer.isActive()

    def accept(self) -> None:
        """The views stay as they are: what a person has made of them counts more than settings of before."""
        self._shown = displays.settings(self._parameters())

    def update(self) -> None:
        """Shows a change of the settings."""
        now = displays.settings(self._parameters())
        if now != self._shown and self._there():
            displays.update(self._parameters())
        self._shown = now

    def show_new(self) -> None:
        """Shows a result that has just arrived, in turns of the event loop of its own: the images, then the grid."""
        self.accept()
        qt.QTimer.singleShot(0, self._show_images)

    def stop(self) -> None:
        """Ends the flicker."""
        self._button.checked = False
        self._timer.stop()

    def _there(self) -> bool:
        return bool(self._parameters()) and displays.has_result(self._parameters())

    def _show_images(self) -> None:
        if self._there():
            displays.arrange(self._parameters())
            qt.QTimer.singleShot(0, self._show_grid)

    def _show_grid(self) -> None:
        if self._there():
            displays.show_grid(self._parameters())
            slicer.util.resetThreeDViews()

    def _toggle(self, checked: bool) -> None:
        if checked and self._there():
            self._timer.start()
            return
        self._timer.stop()
        if self._there():
            displays.show_moving(self._parameters())

    def _flicker(self) -> None:
        if not self._there():
            self.stop()
            return
        self.after = not self.after
        displays.show_moving(self._parameters(), after=self.after)
