"""Stands in for slicer.ScriptedLoadableModule: the four base classes of a scripted module."""

import importlib
import logging
import unittest
from pathlib import Path

import qt
import slicer

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleWidget",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
]


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent, self.moduleName = parent, type(self).__name__
        for suffix in (".svg", ".png"):
            icon = Path(self.resourcePath(f"Icons/{self.moduleName}{suffix}"))
            if icon.is_file():
                parent.icon = qt.QIcon(str(icon))
                break
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, name):
        return str(Path(self.parent.path).parent / "Resources" / name)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        return f'<a href="{slicer.app.moduleDocumentationUrl(self.moduleName)}">online documentation</a>'

    def runTest(self, msec=100, **options):
        test = getattr(importlib.import_module(self.__module__), self.moduleName + "Test")()
        test.messageDelay = msec
        test.runTest(**options)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)
        self.parent = parent or slicer.qMRMLWidget()
        if parent is None:
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, name):
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / name)

    def setup(self):
        """For the module."""

    def cleanup(self):
        """For the module."""

    def _onModuleAboutToBeUnloaded(self, name):
        if name == self.moduleName:
            self.cleanup()
            manager = slicer.app.moduleManager()
            manager.disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Finds the node that keeps a module's settings: one a scene, which carries the module's name, made when asked for.

    A logic that says otherwise with `isSingletonParameterNode` has as many as there are, and takes the first.
    """

    NODE, OWNER = "vtkMRMLScriptedModuleNode", "ModuleName"

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        if self.isSingletonParameterNode:
            found = slicer.mrmlScene.GetSingletonNode(self.moduleName, self.NODE)
        else:
            found = next(iter(self.getAllParameterNodes()), None)
        if found is None:
            return slicer.mrmlScene.AddNode(self.createParameterNode())
        found.SetAttribute(self.OWNER, self.moduleName)  # scenes of long ago lack it
        return found

    def getAllParameterNodes(self):
        return [n for n in slicer.util.getNodesByClass(self.NODE) if n.GetAttribute(self.OWNER) == self.moduleName]

    def createParameterNode(self):
        made = getattr(slicer, self.NODE)()
        made.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        made.SetAttribute(self.OWNER, self.moduleName)
        made.SetSingletonTag(self.moduleName if self.isSingletonParameterNode else None)
        return made


class ScriptedLoadableModuleTest(unittest.TestCase):
    messageDelay = 100

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        slicer.util.delayDisplay(message, self.messageDelay)

    def runTest(self, **options):
        """Run every test method of the class."""
        for name in [name for name in dir(self) if name.startswith("test")]:
            logging.info("Running %s", name)
            self.setUp()
            getattr(self, name)()
            self.tearDown()
