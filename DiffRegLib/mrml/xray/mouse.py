"""The hand on an X-ray: dragging in its slice view moves and turns the CT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import torch

from DiffRegLib.camera import Camera
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.xray.detector import seen_pixel
from DiffRegLib.radiographs import hand

FIRST = 10.0  # priority over the view's own interactor style
DEGREES_A_WIDTH = 120.0  # turned by a drag over the whole width of the image
NOTCH_MM = 5.0  # of the wheel, along the ray


class XRayHand:
    """Left button: shift along the detector; with Shift: turn; with Control: turn in the plane. Wheel: depth.

    view: the slice view's widget. pose, move: read and set the CT's pose (4,4). center: (3,) of the CT, its own RAS mm.
    released: called when a drag ends. Placing control points and other modes of the mouse are left alone.
    """

    def __init__(
        self,
        view: Any,
        camera: Camera,
        center: np.ndarray,
        pose: Callable[[], np.ndarray],
        move: Callable[[np.ndarray], None],
        released: Callable[[], None],
    ) -> None:
        self._view, self._camera, self._center = view, camera, torch.from_numpy(np.asarray(center, dtype=np.float64))
        self._pose, self._move, self._released = pose, move, released
        self.enabled = True
        self._start: tuple[str, np.ndarray, tuple[float, float]] | None = None  # what is done, the pose, the pixel
        self._interactor = view.interactor()
        slots = {
            "LeftButtonPressEvent": self._press,
            "MouseMoveEvent": self._drag,
            "LeftButtonReleaseEvent": self._release,
            "MouseWheelForwardEvent": lambda: self._wheel(1),
            "MouseWheelBackwardEvent": lambda: self._wheel(-1),
        }
        self._tags: dict[str, int] = {}
        for event, slot in slots.items():
            self._tags[event] = self._interactor.AddObserver(event, self._handler(event, slot), FIRST)

    def remove(self) -> None:
        """Lets go of the view."""
        for tag in self._tags.values():
            self._interactor.RemoveObserver(tag)
        self._tags.clear()

    def _handler(self, event: str, slot: Callable[[], bool]) -> Callable[[Any, str], None]:
        """Hides from the view's own style what the hand has dealt with."""

        def handle(caller: Any, name: str) -> None:
            if slot() and event in self._tags:
                self._interactor.GetCommand(self._tags[event]).SetAbortFlag(1)

        return handle

    def _free(self) -> bool:
        mode = slicer.app.applicationLogic().GetInteractionNode()
        return self.enabled and mode.GetCurrentInteractionMode() == mode.ViewTransform

    def _press(self) -> bool:
        if not self._free():
            return False
        shift, control = bool(self._interactor.GetShiftKey()), bool(self._interactor.GetControlKey())
        what = "turn" if shift else "spin" if control else "shift"
        self._start = what, self._pose(), self._pixel()
        return True

    def _drag(self) -> bool:
        if self._start is None:
            return False
        what, pose, pixel = self._start
        self._move(self._moved(what, torch.from_numpy(pose), pixel, self._pixel()).numpy())
        return True

    def _release(self) -> bool:
        if self._start is None:
            return False
        self._start = None
        self._released()
        return True

    def _wheel(self, notches: int) -> bool:
        if not self._free():
            return False
        pose = torch.from_numpy(self._pose())
        self._move(hand.deeper(pose, self._camera, self._center, notches * NOTCH_MM).numpy())
        return True

    def _moved(
        self, what: str, pose: torch.Tensor, start: tuple[float, float], end: tuple[float, float]
    ) -> torch.Tensor:
        if what == "shift":
            return hand.shifted(pose, self._camera, self._center, start, end)
        if what == "spin":
            return hand.spun(pose, self._camera, self._center, start, end)
        across, down = ((b - a) * DEGREES_A_WIDTH / self._camera.size[1] for a, b in zip(start, end))
        return hand.turned(pose, self._camera, self._center, across, down)

    def _pixel(self) -> tuple[float, float]:
        """Column and row of the X-ray under the mouse."""
        x, y = self._interactor.GetEventPosition()
        ras = arrays.matrix_to_array(self._view.mrmlSliceNode().GetXYToRAS()) @ [x, y, 0, 1]
        column, row = seen_pixel(self._camera, ras[:3]).tolist()
        return column, row
