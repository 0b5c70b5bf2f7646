"""CTK's widgets for numbers: slider with spin box, spin box, slider, range."""

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .pythonqt import Manners, stand_in, stored

STEPS = 1000  # positions of the slider
WIDEST = 1e15  # stands for infinity in QDoubleSpinBox


class _Number:
    """A spin box holds the value; the slider, where there is one, follows it and leads it."""

    def __init__(self, parent=None, slider=True, spin_box=True):
        super().__init__(parent)
        self._busy, self._infinite = False, {}
        self._spin = QtWidgets.QDoubleSpinBox(self, minimum=0, maximum=99, keyboardTracking=False)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self, minimum=0, maximum=STEPS)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin, 0 if slider else 1)
        self._slider.setVisible(slider)
        self._spin.setVisible(spin_box)
        self._spin.valueChanged.connect(self._spun)
        self._slider.valueChanged.connect(self._slid)

    def _spun(self, value):
        self._place_slider()
        self.valueChanged.emit(value)

    def _slid(self, position):
        if not self._busy:
            low, high = self._spin.minimum(), self._spin.maximum()
            self._busy = True
            self._spin.setValue(low + (high - low) * position / STEPS)
            self._busy = False

    def _place_slider(self):
        low, high = self._spin.minimum(), self._spin.maximum()
        if not self._busy and high > low:
            self._busy = True
            self._slider.setValue(round((self._spin.value() - low) / (high - low) * STEPS))
            self._busy = False

    def _limit(self, name):
        return self._infinite.get(name, getattr(self._spin, name)())

    def _set_limit(self, name, value):
        self._infinite.pop(name, None)
        if abs(value) == float("inf"):
            self._infinite[name] = value
        setter = self._spin.setMinimum if name == "minimum" else self._spin.setMaximum
        setter(min(max(value, -WIDEST), WIDEST))
        self._place_slider()

    def setRange(self, low, high):
        self._set_limit("minimum", low)
        self._set_limit("maximum", high)

    def setValue(self, value):
        self._spin.setValue(value)


def _of_spin_box(kind, name):
    def write(self, value):
        getattr(self._spin, "set" + name[0].upper() + name[1:])(value)

    return Property(kind, lambda self: getattr(self._spin, name)(), write)


def _properties():
    """Those that the widgets share; Qt wants them in each class's own body."""
    limits = {
        name: Property(float, lambda self, n=name: self._limit(n), lambda self, v, n=name: self._set_limit(n, v))
        for name in ("minimum", "maximum")
    }
    spin = {"value": float, "decimals": int, "singleStep": float, "prefix": str, "suffix": str}
    kept = {"pageStep": 10.0, "tickInterval": 0.0, "tracking": True, "popupSlider": False, "spinBoxVisible": True}
    kept |= {"quantity": "", "unitAwareProperties": 0, "orientation": 1}
    return (
        limits
        | {name: _of_spin_box(kind, name) for name, kind in spin.items()}
        | {name: stored(type(default), name, default) for name, default in kept.items()}
    )


def number(name, slider, spin_box):
    """A new stand-in class for a number."""

    def __init__(self, parent=None):
        _Number.__init__(self, parent, slider, spin_box)

    members = {"__init__": __init__, "__module__": "ctk", "valueChanged": Signal(float), **_properties()}
    return stand_in(type(name, (Manners, _Number, QtWidgets.QWidget), members))


ctkSliderWidget = number("ctkSliderWidget", True, True)
ctkDoubleSpinBox = number("ctkDoubleSpinBox", False, True)
ctkDoubleSlider = number("ctkDoubleSlider", True, False)


class _Range:
    """Two numbers, the second never below the first."""

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._boxes = [QtWidgets.QDoubleSpinBox(self, minimum=0, maximum=99) for _ in range(2)]
        self._boxes[1].setValue(99)
        for box in self._boxes:
            layout.addWidget(box, 1)
            box.valueChanged.connect(self._changed)

    def _changed(self):
        low, high = self._boxes
        low.setMaximum(high.value())
        high.setMinimum(low.value())
        self.valuesChanged.emit(low.value(), high.value())

    def setRange(self, low, high):
        self._boxes[0].setMinimum(low)
        self._boxes[1].setMaximum(high)

    def setValues(self, low, high):
        self._boxes[0].setMaximum(self._boxes[1].maximum())
        self._boxes[1].setMinimum(self._boxes[0].minimum())
        self._boxes[0].setValue(low)
        self._boxes[1].setValue(high)

    def _set_both(self, setter, value):
        for box in self._boxes:
            getattr(box, setter)(value)


def value_range(name):
    """A new stand-in class for a range."""
    members = {
        "__module__": "ctk",
        "valuesChanged": Signal(float, float),
        "minimum": Property(float, lambda s: s._boxes[0].minimum(), lambda s, v: s._boxes[0].setMinimum(v)),
        "maximum": Property(float, lambda s: s._boxes[1].maximum(), lambda s, v: s._boxes[1].setMaximum(v)),
        "minimumValue": Property(float, lambda s: s._boxes[0].value(), lambda s, v: s._boxes[0].setValue(v)),
        "maximumValue": Property(float, lambda s: s._boxes[1].value(), lambda s, v: s._boxes[1].setValue(v)),
        "decimals": Property(int, lambda s: s._boxes[0].decimals(), lambda s, v: s._set_both("setDecimals", v)),
        "singleStep": Property(float, lambda s: s._boxes[0].singleStep(), lambda s, v: s._set_both("setSingleStep", v)),
    }
    return stand_in(type(name, (Manners, _Range, QtWidgets.QWidget), members))


ctkRangeWidget = value_range("ctkRangeWidget")
ctkDoubleRangeSlider = value_range("ctkDoubleRangeSlider")
