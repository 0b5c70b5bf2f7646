"""The six sliders, the line into which a pose is pasted, and undo."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from XRayPoseLib import carm
from XRayPoseLib.pose import Pose

SLIDERS = ("rotationX", "rotationY", "rotationZ", "shiftR", "shiftA", "shiftS")


class PoseForm:
    """Keeps the widgets in line with the pose while the radiograph is live, and the pose with the widgets."""

    def __init__(self, ui: Any, parameters: Callable[[], Any], pose: Callable[[], Pose]) -> None:
        self._ui, self._parameters, self._pose = ui, parameters, pose
        self._updating = False
        self._numbers = np.zeros(6)  # what the sliders stand for, with more digits than they have
        for place, name in enumerate(SLIDERS):
            self._slider(name).connect("valueChanged(double)", functools.partial(self._slid, place))
        ui.undoButton.connect("clicked(bool)", self._undo)
        ui.redoButton.connect("clicked(bool)", self._redo)
        ui.pasteLineEdit.connect("returnPressed()", self._pasted)

    def show(self, enabled: bool) -> None:
        """Brings the widgets in line; enabled: whether a person may move the CT."""
        pose = self._pose()
        for name in (*SLIDERS, "pasteLineEdit"):
            getattr(self._ui, self._widget(name)).enabled = enabled
        self._ui.undoButton.enabled = bool(enabled and pose.can_undo)
        self._ui.redoButton.enabled = bool(enabled and pose.can_redo)
        if enabled:
            self.show_numbers()

    def show_numbers(self) -> None:
        """The six numbers of the pose as it is; not while a slider is being moved."""
        if self._updating:
            return
        from DiffRegLib.transforms import Affine, rigid_parameters

        degrees, shift = rigid_parameters(Affine(self._tensor(self._pose().matrix)), self._center())
        self._numbers = np.array([*degrees.tolist(), *shift.tolist()])
        self._updating = True
        try:
            for name, value in zip(SLIDERS, self._numbers.tolist()):
                slider = self._slider(name)
                if abs(value) > slider.maximum:
                    slider.minimum, slider.maximum = -2 * abs(value), 2 * abs(value)
                slider.value = value
        finally:
            self._updating = False

    def _slid(self, place: int, value: float) -> None:
        """One number changes; the others keep the digits that their sliders do not show."""
        if self._updating or not self._slider(SLIDERS[0]).enabled:
            return
        from DiffRegLib.transforms import rigid

        self._numbers[place] = value
        values = self._tensor(self._numbers)
        self._updating = True
        try:
            self._pose().move(rigid(values[:3], values[3:], self._center()).matrix.numpy())
        finally:
            self._updating = False

    def _pasted(self) -> None:
        from DiffRegLib.transforms.text import parse_pose

        text = self._ui.pasteLineEdit.text
        try:
            pose = parse_pose(text, self._center())
        except RegistrationError as error:
            self._ui.pasteLabel.text = str(error)
            self._ui.pasteLabel.setVisible(True)
            return
        self._ui.pasteLabel.setVisible(False)
        self._ui.pasteLineEdit.clear()
        self._pose().settle()
        self._pose().move(pose.matrix.numpy())
        self._pose().settle()

    def _undo(self, checked: bool = False) -> None:
        self._pose().undo()
        self.show(True)

    def _redo(self, checked: bool = False) -> None:
        self._pose().redo()
        self.show(True)

    def _center(self) -> Any:
        return self._tensor(carm.center_of(self._parameters().ct))

    @staticmethod
    def _tensor(values: Any) -> Any:
        import torch

        return torch.from_numpy(np.asarray(values, dtype=np.float64))

    def _slider(self, name: str) -> Any:
        return getattr(self._ui, self._widget(name))

    @staticmethod
    def _widget(name: str) -> str:
        return f"{name}Slider" if name in SLIDERS else name


def tooltips() -> dict[str, str]:
    """What each slider does, for people."""
    turn = _("Turns the CT about the axis {axis} through its middle, after the turns above it.")
    shift = _("Moves the CT's middle {way}.")
    ways = (_("to the right of the patient"), _("to the front"), _("to the head"))
    axes = (_("from left to right"), _("from back to front"), _("from feet to head"))
    found = {name: turn.format(axis=axis) for name, axis in zip(SLIDERS, axes)}
    return found | {name: shift.format(way=way) for name, way in zip(SLIDERS[3:], ways)}
