"""The qMRML and qSlicer widgets that a panel's `.ui` names, on the real scene."""

from PySide6 import QtWidgets
from PySide6.QtCore import Signal

from .ctk import ctkCollapsibleButton
from .ctk_numbers import number, value_range
from .node_combo_box import qMRMLNodeComboBox
from .pythonqt import Manners, stand_in

__all__ = ["qMRMLNodeComboBox"]


@stand_in
class qMRMLWidget(Manners, QtWidgets.QWidget):
    """Hands its scene to the widgets that are connected to mrmlSceneChanged, to no other."""

    mrmlSceneChanged = Signal(object)

    def mrmlScene(self):
        return self.__dict__.get("_scene")

    def setMRMLScene(self, scene):
        if scene is not self.mrmlScene():
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@stand_in
class qSlicerWidget(qMRMLWidget):
    mrmlSceneChanged = Signal(object)


@stand_in
class qMRMLCollapsibleButton(ctkCollapsibleButton):
    def setMRMLScene(self, scene):
        """Nothing inside needs it."""


qMRMLSliderWidget = number("qMRMLSliderWidget", True, True)
qMRMLSpinBox = number("qMRMLSpinBox", False, True)
qMRMLRangeWidget = value_range("qMRMLRangeWidget")
for units_from_scene in (qMRMLSliderWidget, qMRMLSpinBox, qMRMLRangeWidget):
    units_from_scene.setMRMLScene = lambda self, scene: None
