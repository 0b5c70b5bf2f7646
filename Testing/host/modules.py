"""slicer.modules: the logics of Slicer's own modules, and scripted modules loaded from a file."""

import importlib.util
import sys
from pathlib import Path

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Signal

from .mrml_widgets import qSlicerWidget
from .pythonqt import Manners, shim, stand_in, stored


@stand_in
class qSlicerModuleManager(Manners, QtCore.QObject):
    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self):
        super().__init__()
        self._modules = {}

    def module(self, name):
        return self._modules.get(name.lower())

    def modulesNames(self):
        return tuple(sorted(module.name for module in self._modules.values()))

    def factoryManager(self):
        return self

    def loadedModuleNames(self):
        return self.modulesNames()

    def add(self, module):
        self._modules[module.name.lower()] = module
        setattr(slicer.modules, module.name.lower(), module)
        setattr(slicer.moduleNames, module.name, module.name)
        self.moduleLoaded.emit(module.name)

    def unload(self, module):
        """The widget hears of it and cleans up, then it goes."""
        self.moduleAboutToBeUnloaded.emit(module.name)
        del self._modules[module.name.lower()]
        for attribute in (module.name.lower(), module.name + "Instance", module.name + "Widget"):
            if hasattr(slicer.modules, attribute):
                delattr(slicer.modules, attribute)


@stand_in
class qSlicerCoreModule(Manners, QtCore.QObject):
    """One of Slicer's C++ modules: its logic, no panel."""

    def __init__(self, name, logic):
        super().__init__()
        self.setObjectName(name)
        self._logic = logic

    title = QtCore.Property(str, lambda self: self.name)
    path = QtCore.Property(str, lambda self: "")

    def logic(self):
        return self._logic

    def widgetRepresentation(self):
        return None


@stand_in
class qSlicerScriptedLoadableModule(Manners, QtCore.QObject):
    title = stored(str, "title", "")
    path = stored(str, "path", "")
    categories = stored("QStringList", "categories", ())
    dependencies = stored("QStringList", "dependencies", ())
    contributors = stored("QStringList", "contributors", ())
    associatedNodeTypes = stored("QStringList", "associatedNodeTypes", ())
    helpText = stored(str, "helpText", "")
    acknowledgementText = stored(str, "acknowledgementText", "")
    icon = stored(QtGui.QIcon, "icon", QtGui.QIcon())
    hidden = stored(bool, "hidden", False)
    index = stored(int, "index", -1)

    def __init__(self, path):
        """Import the file and make the module's instance; its panel comes with widgetRepresentation()."""
        super().__init__()
        self._widget = None
        self.path, self.name = str(Path(path).resolve()), Path(path).stem
        self.title = self.name
        folder = str(Path(self.path).parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        self._python = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = self._python
        spec.loader.exec_module(self._python)
        self._instance = getattr(self._python, self.name)(self)
        setattr(slicer.modules, self.name + "Instance", self._instance)

    def logic(self):
        return None

    def createNewWidgetRepresentation(self):
        widget = qSlicerScriptedLoadableModuleWidget(self.name)
        widget.setup()
        return widget

    def widgetRepresentation(self):
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget


@stand_in
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    mrmlSceneChanged = Signal(object)
    isEntered = QtCore.Property(bool, lambda self: self.__dict__.get("_entered", False))

    def __init__(self, module_name, parent=None):
        super().__init__(parent)
        self._module_name = module_name
        self.setLayout(shim(QtWidgets.QVBoxLayout)())
        self.setMRMLScene(slicer.mrmlScene)
        self._make()

    def _make(self):
        name = self._module_name + "Widget"
        self._python = getattr(sys.modules[self._module_name], name)(self)
        setattr(slicer.modules, name, self._python)

    def self(self):
        return self._python

    def setup(self):
        self._python.setup()
        QtWidgets.QWidget.layout(self).addStretch(1)

    def reload(self):
        self._make()
        self.setup()

    def enter(self):
        self._entered = True
        self._python.enter() if hasattr(self._python, "enter") else None

    def exit(self):
        self._entered = False
        self._python.exit() if hasattr(self._python, "exit") else None

    def setEditedNode(self, node, role="", context=""):
        return self._python.setEditedNode(node, role, context) if hasattr(self._python, "setEditedNode") else False
