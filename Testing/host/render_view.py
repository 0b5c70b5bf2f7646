"""A VTK view as a widget: drawn offscreen into an image that Qt paints, so that it needs no window system.

Mouse, wheel and keys go to VTK's interactor, and from there to Slicer's interactor styles and displayable managers.
"""

import numpy as np
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

from .pythonqt import Manners

FRAME_MS = 15  # render requests within this time are one frame
BUTTONS = ("LeftButton", "RightButton", "MiddleButton")


class RenderView(Manners, QtWidgets.QWidget):
    """Base of the slice, 3D and plot views."""

    paused = 0  # of all views together, see slicer.app.pauseRender()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._image, self._stale, self._rendering, self._pauses = None, True, False, 0
        self._window = vtk.vtkRenderWindow()
        self._window.SetShowWindow(False)
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetAlphaBitPlanes(1)
        self._window.SetSize(200, 200)
        self._renderer = vtk.vtkRenderer()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.Initialize()
        self._timer = QtCore.QTimer(self, singleShot=True, interval=FRAME_MS)
        self._timer.timeout.connect(self._render_if_shown)
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(60, 60)

    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def renderer(self):
        return self._renderer

    def scheduleRender(self):
        self._stale = True
        if not self._timer.isActive():
            self._timer.start()

    @property
    def waits(self):
        """Whether a frame that was asked for will come by itself."""
        return self._timer.isActive() and not RenderView.paused and not self._pauses

    def pauseRender(self):
        """Draw nothing until `resumeRender` is called as often; returns how often that is."""
        self._pauses += 1
        return self._pauses

    def resumeRender(self):
        self._pauses = max(0, self._pauses - 1)
        if self._stale:
            self.scheduleRender()
        return self._pauses

    def isRenderPaused(self):
        return self._pauses > 0

    def forceRender(self):
        """Draw now."""
        if self._rendering:
            return
        self._rendering, self._stale = True, False
        self.before_render()
        self._window.Render()
        self._image = np.ascontiguousarray(_pixels(self._window))
        self._rendering = False
        self.update()

    def before_render(self):
        """For a view that has to bring its VTK scene up to date first."""

    def pixels(self):
        """The view as it is now: (height, width, 3) uint8, the first row on top."""
        self.forceRender()
        return self._image.copy()

    def close_view(self):
        """Let go of the graphics; the widget is of no more use."""
        self._timer.stop()
        self._window.Finalize()

    def _render_if_shown(self):
        if self._stale and self.isVisible():
            if RenderView.paused:
                self._timer.start()
            elif not self._pauses:
                self.forceRender()

    def resized(self, width, height):
        """For a view whose node has to know the size."""

    def showEvent(self, event):
        super().showEvent(event)
        self.scheduleRender()

    def resizeEvent(self, event):
        super().resizeEvent(event)
        width, height = event.size().width(), event.size().height()
        self._window.SetSize(width, height)
        self._interactor.SetSize(width, height)
        self._interactor.InvokeEvent("ConfigureEvent")
        self.resized(width, height)
        self.scheduleRender()

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        if self._stale and not RenderView.paused and not self._pauses:
            self.forceRender()
        if self._image is not None:
            height, width, _ = self._image.shape
            rgb = QtGui.QImage.Format.Format_RGB888
            painter.drawImage(0, 0, QtGui.QImage(self._image.data, width, height, 3 * width, rgb))
        self.paint_over(painter)

    def paint_over(self, painter):
        """For annotations on top of the image."""

    def _send(self, name, position=None, modifiers=None, repeat=0):
        interactor, flags = self._interactor, QtCore.Qt.KeyboardModifier
        if position is not None:
            control, shift = bool(modifiers & flags.ControlModifier), bool(modifiers & flags.ShiftModifier)
            x, y = int(position.x()), int(position.y())
            interactor.SetEventInformationFlipY(x, y, control, shift, chr(0), repeat, None)
            interactor.SetAltKey(bool(modifiers & flags.AltModifier))
        interactor.InvokeEvent(name)

    def _send_button(self, event, what, repeat=0):
        if event.button().name in BUTTONS:
            self._send(event.button().name + what, event.position(), event.modifiers(), repeat)

    def mousePressEvent(self, event):
        self._send_button(event, "PressEvent")

    def mouseReleaseEvent(self, event):
        self._send_button(event, "ReleaseEvent")

    def mouseDoubleClickEvent(self, event):
        self._send_button(event, "PressEvent", 1)
        self._send_button(event, "DoubleClickEvent", 1)

    def mouseMoveEvent(self, event):
        self._send("MouseMoveEvent", event.position(), event.modifiers())

    def enterEvent(self, event):
        self._send("EnterEvent", event.position(), QtWidgets.QApplication.keyboardModifiers())

    def leaveEvent(self, event):
        self._send("LeaveEvent")

    def wheelEvent(self, event):
        direction = "Forward" if event.angleDelta().y() > 0 else "Backward"
        self._send(f"MouseWheel{direction}Event", event.position(), event.modifiers())

    def keyPressEvent(self, event):
        self._send_key(event, "KeyPressEvent")
        self._interactor.InvokeEvent("CharEvent")

    def keyReleaseEvent(self, event):
        self._send_key(event, "KeyReleaseEvent")

    def _send_key(self, event, name):
        flags = QtCore.Qt.KeyboardModifier
        symbol = QtGui.QKeySequence(event.key()).toString()
        symbol = {"Del": "Delete", "Esc": "Escape", "Backspace": "BackSpace"}.get(symbol, symbol)
        symbol = symbol.lower() if len(symbol) == 1 else symbol
        control, shift = bool(event.modifiers() & flags.ControlModifier), bool(event.modifiers() & flags.ShiftModifier)
        self._interactor.SetKeyEventInformation(control, shift, (event.text() or chr(0))[0], 1, symbol)
        self._interactor.InvokeEvent(name)


def _pixels(window):
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.SetInputBufferTypeToRGB()
    grabber.ReadFrontBufferOff()
    grabber.ShouldRerenderOff()
    grabber.Update()
    width, height, _ = grabber.GetOutput().GetDimensions()
    return vtk_to_numpy(grabber.GetOutput().GetPointData().GetScalars()).reshape(height, width, 3)[::-1]
