"""qt.QUiLoader: a `.ui` file becomes stand-ins, with the connections that hand the MRML scene down."""

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from .pythonqt import shim, stand_in


class UiLoader:
    """Raises RuntimeError for a class that the host does not have, and for a scene connection that leads nowhere."""

    def __init__(self, parent=None):
        self.parent = parent

    def load(self, device, parent=None):
        root = ElementTree.fromstring(bytes(device.readAll()))
        scene_connections = _take_scene_connections(root)
        factory = _Factory()
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = factory.load(buffer, parent)
        if factory.unknown:
            raise RuntimeError(f"The test host has no widget class {', '.join(sorted(factory.unknown))}.")
        for attribute in [n for n, v in vars(widget).items() if v in factory.made]:
            del widget.__dict__[attribute]  # PySide6 hangs named children on the root; PythonQt does not
        widget.__dict__["_loaded"] = factory.made
        _replay(scene_connections, {made.property("objectName"): made for made in factory.made})
        return widget


class _Factory(QtUiTools.QUiLoader):
    def __init__(self):
        super().__init__()
        self.made, self.unknown = [], set()

    def createWidget(self, class_name, parent=None, name=""):
        cls = stand_in.classes.get(class_name) or _qt_class(class_name)
        if cls is None:
            self.unknown.add(class_name)
            cls = shim(QtWidgets.QWidget)
        return self._keep(cls(parent) if parent is not None else cls(), name)

    def createLayout(self, class_name, parent=None, name=""):
        layout = shim(getattr(QtWidgets, class_name))()
        if isinstance(parent, QtWidgets.QWidget) and QtWidgets.QWidget.layout(parent) is None:
            parent.setLayout(layout)
        return self._keep(layout, name)

    def _keep(self, made, name):
        made.setObjectName(name)
        self.made.append(made)
        return made


def _qt_class(name):
    cls = getattr(QtWidgets, name, None)
    return shim(cls) if cls is not None else None


def _take_scene_connections(root):
    """Remove the connections with a vtkMRMLScene, which Qt does not know; [sender, signal, receiver, slot] of each."""
    connections, taken = root.find("connections"), []
    for connection in list(connections) if connections is not None else []:
        if "vtkMRMLScene" in connection.findtext("signal", ""):
            taken.append([connection.findtext(tag) for tag in ("sender", "signal", "receiver", "slot")])
            connections.remove(connection)
    return taken


def _replay(connections, made):
    for sender, signal, receiver, slot in connections:
        if sender not in made or not hasattr(made.get(receiver), slot.split("(")[0]):
            raise RuntimeError(f"The connection from {sender}.{signal} to {receiver}.{slot} leads nowhere.")
        made[sender].connect(signal, getattr(made[receiver], slot.split("(")[0]))
