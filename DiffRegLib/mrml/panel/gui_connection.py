"""The widgets of a panel and its parameter node, connected and parted again."""

from __future__ import annotations

from typing import Any


class GuiConnection:
    """Connects the widgets of `ui` that name a parameter with the parameter node, until `end`.

    Slicer 5.10 forgets one observer when it disconnects: with every visit of the module one more of them would stay
    behind, each in a circle with the node that it observes.
    """

    def __init__(self, parameters: Any, ui: Any) -> None:
        self._parameters, self._observers = parameters, []
        add = parameters.AddObserver

        def add_and_note(*observer: Any) -> int:
            self._observers.append(add(*observer))
            return self._observers[-1]

        parameters.AddObserver = add_and_note
        try:
            self._tag = parameters.connectGui(ui)
        finally:
            del parameters.AddObserver

    def end(self) -> None:
        """Parts them; once is enough, twice does no harm."""
        self._parameters.disconnectGui(self._tag)
        while self._observers:
            self._parameters.RemoveObserver(self._observers.pop())
