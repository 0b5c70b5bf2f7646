"""The button that starts the work of a panel and cancels it, and the line under it."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

LONGEST_REASON = 48  # characters that fit on the button


class ApplyButton:
    """Words the widgets `applyButton` and `statusLabel` of a panel's `ui`."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui

    def show(self, running: bool, reason: str, message: str) -> None:
        """reason: why it cannot be pressed, or "". message: how the last run went wrong, or ""."""
        button = self._ui.applyButton
        button.enabled = running or not reason
        fits = reason and len(reason) <= LONGEST_REASON
        button.text = _("Cancel") if running else reason if fits else _("Apply")
        if running:
            button.toolTip = _("End the registration and leave the scene as it was")
        else:
            button.toolTip = reason or _("Register in another process; Slicer can be used meanwhile")
        words = "" if running or fits else reason or message
        self._ui.statusLabel.text = words
        self._ui.statusLabel.setVisible(bool(words))
