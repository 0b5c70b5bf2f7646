"""A person's hand on a view: Qt's own events, at places given in pixels or in RAS mm."""

from PySide6 import QtCore, QtGui, QtTest, QtWidgets


class Mouse:
    """Places are (column, row) in the view's pixels, or RAS points of three numbers."""

    def __init__(self, host):
        self._host = host

    def move(self, view, place):
        self._send(view, place, QtCore.QEvent.Type.MouseMove)

    def click(self, view, place, button="Left", modifiers=()):
        self.move(view, place)
        self._send(view, place, QtCore.QEvent.Type.MouseButtonPress, button, modifiers)
        self._send(view, place, QtCore.QEvent.Type.MouseButtonRelease, button, modifiers)

    def drag(self, view, start, end, button="Left", modifiers=(), steps=10, pause_ms=0):
        """Press at `start`, move to `end` in `steps` with pauses between them, release."""
        (x0, y0), (x1, y1) = self._pixel(view, start), self._pixel(view, end)
        self.move(view, (x0, y0))
        self._send(view, (x0, y0), QtCore.QEvent.Type.MouseButtonPress, button, modifiers)
        for step in range(1, steps + 1):
            place = round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
            self._send(view, place, QtCore.QEvent.Type.MouseMove, button, modifiers)
            self._host.process(pause_ms)
        self._send(view, (x1, y1), QtCore.QEvent.Type.MouseButtonRelease, button, modifiers)

    def wheel(self, view, place, notches=1):
        """Turn the wheel; positive is away from the person."""
        widget, position = self._host.view(view), QtCore.QPointF(*self._pixel(view, place))
        none = QtCore.Qt.MouseButton.NoButton, QtCore.Qt.KeyboardModifier.NoModifier
        phase, turn = QtCore.Qt.ScrollPhase.NoScrollPhase, QtCore.QPoint(0, 120 if notches > 0 else -120)
        for _ in range(abs(notches)):
            where = position, widget.mapToGlobal(position)
            event = QtGui.QWheelEvent(*where, QtCore.QPoint(), turn, *none, phase, False)
            QtWidgets.QApplication.sendEvent(widget, event)
            self._host.process()

    def key(self, view, text):
        QtTest.QTest.keyClicks(self._host.view(view), text)
        self._host.process()

    def _pixel(self, view, place):
        return self._host.pixel_of(view, place) if len(place) == 3 else place

    def _send(self, view, place, kind, button=None, modifiers=()):
        widget = self._host.view(view)
        position = QtCore.QPointF(*self._pixel(view, place))
        buttons, keys = QtCore.Qt.MouseButton, QtCore.Qt.KeyboardModifier
        pressed = buttons[button + "Button"] if button else buttons.NoButton
        held = keys.NoModifier
        for name in modifiers:
            held |= keys[name + "Modifier"]
        moving, released = kind == QtCore.QEvent.Type.MouseMove, kind == QtCore.QEvent.Type.MouseButtonRelease
        trigger, down = buttons.NoButton if moving else pressed, buttons.NoButton if released else pressed
        self._host.app.held = down  # events that are sent leave Qt's own memory of the buttons alone
        event = QtGui.QMouseEvent(kind, position, widget.mapToGlobal(position), trigger, down, held)
        QtWidgets.QApplication.sendEvent(widget, event)
        self._host.process()
