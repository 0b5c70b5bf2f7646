"""How a widget shows a value: read, write and the signal, by the class of the widget and the type of the parameter."""

import enum
import pathlib

import ctk
import qt
import slicer

from .annotations import Choice, Decimals, SingleStep, bounds, find, members, split

LOWEST, HIGHEST = -(2**31), 2**31 - 1


def connector(widget, annotated):
    """The connector for that widget and type; RuntimeError where there is none."""
    kind, annotations = split(annotated)
    for widgets, accepts, make in TABLE:
        if type(widget) in widgets and accepts(kind):
            return make(widget, kind, annotations)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{annotated}' to widget type '{type(widget)}'.")


class Connector:
    """`read` and `write` go through the property `name`; `signal` says that it changed."""

    name, signal = "", ""

    def __init__(self, widget, kind, annotations):
        self.widget, self.kind, self._changed = widget, kind, None
        self.prepare(annotations)

    def prepare(self, annotations):
        """For widgets that have to know bounds, steps or choices."""

    def connect(self, changed):
        self._changed = lambda *_: changed()
        getattr(self.widget, self.signal).connect(self._changed)

    def disconnect(self):
        getattr(self.widget, self.signal).disconnect(self._changed)

    def read(self):
        return self.kind(getattr(self.widget, self.name))

    def write(self, value):
        setattr(self.widget, self.name, value)


class Check(Connector):
    name, signal = "checked", "toggled"


class Number(Connector):
    name, signal = "value", "valueChanged"

    def prepare(self, annotations):
        low, high = bounds(annotations)
        slider = type(self.widget) in (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget)
        if slider and not (low > float("-inf") and high < float("inf")):
            raise RuntimeError("Cannot have a connection to a slider where the number is unbounded.")
        whole = type(self.widget) in (qt.QSlider, qt.QSpinBox)
        if not whole and (self.kind is int or find(annotations, Decimals)):
            self.widget.decimals = 0 if self.kind is int else find(annotations, Decimals).value
        if find(annotations, SingleStep):
            self.widget.singleStep = find(annotations, SingleStep).value
        self.widget.minimum = int(max(low, LOWEST)) if whole else low
        self.widget.maximum = int(min(high, HIGHEST)) if whole else high


class ComboBox(Connector):
    """Lists the choices of the annotation, or an enumeration by label() or name."""

    signal = "currentIndexChanged"

    def prepare(self, annotations):
        if isinstance(self.kind, type) and issubclass(self.kind, enum.Enum):
            self.choices = list(self.kind)
            labels = [c.label() if hasattr(c, "label") else c.name for c in self.choices]
        elif find(annotations, Choice):
            self.choices = find(annotations, Choice).choices
            labels = [str(c) for c in self.choices]
        else:
            raise RuntimeError("A combo box requires the Choice annotation to be used.")
        self.widget.clear()
        for label in labels:
            self.widget.addItem(label)

    def read(self):
        return self.choices[self.widget.currentIndex]

    def write(self, value):
        self.widget.currentIndex = self.choices.index(value)


class Line(Connector):
    name, signal = "text", "textChanged"

    def write(self, value):
        if value != self.widget.text:  # writing moves the cursor to the end
            self.widget.text = value


class Label(Connector):
    name = "text"

    def connect(self, changed):
        """Nobody types into a label."""

    def disconnect(self):
        """Nothing was connected."""


class PlainText(Connector):
    name, signal = "plainText", "textChanged"


class Path(Connector):
    name, signal = "currentPath", "currentPathChanged"

    def write(self, value):
        self.widget.currentPath = str(value)


class Directory(Connector):
    name, signal = "directory", "directoryChanged"

    def write(self, value):
        self.widget.directory = str(value)


class Node(Connector):
    signal = "currentNodeChanged"

    def prepare(self, annotations):
        kinds = [kind for kind in members(self.kind) if kind is not type(None)]
        self.widget.nodeTypes = [kind().GetClassName() for kind in kinds]

    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)


def _is_path(kind):
    return isinstance(kind, type) and issubclass(kind, pathlib.PurePath)


def _is_node(kind):
    kinds = [k for k in members(kind) if k is not type(None)]
    return all(isinstance(k, type) and issubclass(k, slicer.vtkMRMLNode) for k in kinds)


def _is_choice(kind):
    return kind in (int, float, str, bool) or (isinstance(kind, type) and issubclass(kind, enum.Enum))


FLOAT_WIDGETS = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSlider, ctk.ctkDoubleSpinBox)
FLOAT_WIDGETS += (slicer.qMRMLSliderWidget, slicer.qMRMLSpinBox)
TABLE = [
    ((qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton, ctk.ctkCheckablePushButton), lambda kind: kind is bool, Check),
    ((qt.QSlider, qt.QSpinBox), lambda kind: kind is int, Number),
    (FLOAT_WIDGETS, lambda kind: kind in (int, float), Number),
    ((qt.QComboBox, ctk.ctkComboBox), _is_choice, ComboBox),
    ((qt.QLineEdit,), lambda kind: kind is str, Line),
    ((qt.QLabel,), lambda kind: kind is str, Label),
    ((qt.QTextEdit,), lambda kind: kind is str, PlainText),
    ((ctk.ctkPathLineEdit,), _is_path, Path),
    ((ctk.ctkDirectoryButton,), _is_path, Directory),
    ((slicer.qMRMLNodeComboBox,), _is_node, Node),
]
