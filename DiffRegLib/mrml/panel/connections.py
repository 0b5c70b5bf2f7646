"""Signals with an end: Qt keeps a callable, and all that it names, for as long as it is connected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class Connections:
    """The connections of something that ends before the window does: a worker, a timer of one run."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, str, Callable[..., None]]] = []

    def add(self, sender: Any, signal: str, slot: Callable[..., None]) -> None:
        """Connects; sender and slot are kept until `release`."""
        sender.connect(signal, slot)
        self._made.append((sender, signal, slot))

    def release(self) -> None:
        """Disconnects everything, one turn of the event loop later: a sender that is let go of while its own signal
        is on its way would be deleted under it."""
        made, self._made = self._made, []
        if made:
            qt.QTimer.singleShot(0, lambda: _disconnect(made))


def _disconnect(made: list[tuple[Any, str, Callable[..., None]]]) -> None:
    while made:
        sender, signal, slot = made.pop()
        sender.disconnect(signal, slot)
