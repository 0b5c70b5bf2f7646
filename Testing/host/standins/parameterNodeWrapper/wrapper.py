"""@parameterNodeWrapper: the class with its annotations becomes properties of a parameter node."""

import typing

import slicer.util
import vtk

from .annotations import Default, find, split
from .connectors import connector
from .serializers import serializer

PROPERTY = "SlicerParameterName"


class Parameter:
    def __init__(self, annotated, assigned):
        self.annotated, self.serializer = annotated, serializer(annotated)
        declared = find(split(annotated)[1], Default)
        self.default = assigned or declared or Default(self.serializer.default)

    def write(self, node, name, value):
        self.serializer.check(value)
        with slicer.util.NodeModify(node):
            self.serializer.write(node, name, value)

    def read(self, node, name):
        if not self.serializer.has(node, name):
            self.write(node, name, self.default.value)
        return self.serializer.read(node, name)


def parameterNodeWrapper(cls=None):
    """Class decorator, with or without parentheses."""
    return _wrap if cls is None else _wrap(cls)


def isParameterNodeWrapper(candidate):
    return hasattr(candidate, "allParameters")


def _wrap(cls):
    parameters = {}
    for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
        parameters[name] = Parameter(annotated, Default(vars(cls)[name]) if name in vars(cls) else None)
    reserved = sorted(set(parameters) & set(vars(Wrapped)))
    if reserved:
        raise ValueError(f"Cannot use reserved name '{reserved[0]}' in a parameterNodeWrapper")
    members = {name: _property(name) for name in parameters}
    own = {name: member for name, member in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    return type(cls.__name__, (Wrapped,), own | members | {"allParameters": parameters})


def _property(name):
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


class Wrapped:
    """The parameter node with its typed parameters."""

    allParameters = {}

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis, self._updating = {}, False
        for name, parameter in self.allParameters.items():
            parameter.read(parameterNode, name)

    def getValue(self, name):
        return self._parameter(name).read(self.parameterNode, name)

    def setValue(self, name, value):
        self._parameter(name).write(self.parameterNode, name, value)

    def default(self, name):
        return self._parameter(name).default

    @classmethod
    def dataType(cls, name):
        return cls._parameter(name).annotated

    @classmethod
    def _parameter(cls, name):
        if name not in cls.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return cls.allParameters[name]

    def connectGui(self, ui):
        """Bind the widgets that carry the dynamic property SlicerParameterName; returns a tag for disconnectGui."""
        widgets = [w for w in vars(ui).values() if w.property(PROPERTY)]
        return self.connectParametersToGui({widget.property(PROPERTY): widget for widget in widgets})

    def connectParametersToGui(self, mapping):
        connectors = {name: connector(widget, self.dataType(name)) for name, widget in mapping.items()}
        for name, connected in connectors.items():
            connected.write(self.getValue(name))
            connected.connect(lambda name=name: self._take(name))
        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        self._guis[tag] = connectors
        return tag

    def disconnectGui(self, tag):
        if tag in self._guis:
            self.RemoveObserver(tag)
            for connected in self._guis.pop(tag).values():
                connected.disconnect()

    def _take(self, name):
        """From the widget into the node."""
        if not self._updating:
            self.setValue(name, next(c[name] for c in self._guis.values() if name in c).read())

    def _show(self):
        """From the node into the widgets."""
        if self._updating:
            return
        self._updating = True
        try:
            for name, connected in [item for gui in self._guis.values() for item in gui.items()]:
                connected.write(self.getValue(name))
        finally:
            self._updating = False

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        self.parameterNode.Modified()

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, was_modified):
        return self.parameterNode.EndModify(was_modified)
