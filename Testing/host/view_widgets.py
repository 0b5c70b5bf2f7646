"""The widgets of a layout: a colored bar with what belongs to the view, over the view."""

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .mrml_views import qMRMLSliceView, qMRMLThreeDView
from .plot_view import qMRMLPlotView
from .pythonqt import Manners, stand_in


@stand_in
class qMRMLViewControllerBar(Manners, QtWidgets.QFrame):
    """The bar in the color of its view, with the view's label."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setAutoFillBackground(True)
        self.setFixedHeight(22)
        self._label = QtWidgets.QLabel(self)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(6, 1, 6, 1)
        row.addWidget(self._label)
        row.addStretch(0)
        self._row = row

    def show_node(self, node):
        color = QtGui.QColor.fromRgbF(*node.GetLayoutColor())
        palette = QtWidgets.QWidget.palette(self)
        palette.setColor(QtGui.QPalette.ColorRole.Window, color)
        palette.setColor(QtGui.QPalette.ColorRole.WindowText, QtGui.QColor("black"))
        self.setPalette(palette)
        self._label.setText(node.GetLayoutLabel() or "")


@stand_in
class qMRMLSliceControllerWidget(qMRMLViewControllerBar):
    """Fit button, offset slider in mm, the offset, and the anatomical axis of the view."""

    def __init__(self, logic, parent=None):
        super().__init__(parent)
        self._logic, self._busy = logic, False
        self._fit = QtWidgets.QToolButton(self, toolTip="Fit the slice to the view", autoRaise=True)
        self._fit.setIcon(self.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_TitleBarMaxButton))
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._offset = QtWidgets.QLabel(self)
        for widget, stretch in ((self._fit, 0), (self._slider, 1), (self._offset, 0)):
            self._row.addWidget(widget, stretch)
        self._fit.clicked.connect(self.fitSliceToBackground)
        self._slider.valueChanged.connect(self._slid)

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def sliceOffsetSlider(self):
        return self._slider

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()
        self._logic.SnapSliceOffsetToIJK()

    def setSliceOffsetValue(self, offset):
        self._logic.SetSliceOffset(offset)

    def setSliceLink(self, linked):
        """Link (or not) all views of the layout, as the chain button does."""
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            composite.SetLinkedControl(linked)

    def setSliceVisible(self, visible):
        self.mrmlSliceNode().SetSliceVisible(visible)

    def refresh(self):
        """Take range, step and offset from the slice logic; the slider counts hundredths of mm."""
        bounds, node = [0.0] * 6, self.mrmlSliceNode()
        self._logic.GetLowestVolumeSliceBounds(bounds)
        self._busy = True
        if bounds[4] < bounds[5]:
            self._slider.setRange(round(bounds[4] * 100), round(bounds[5] * 100))
            self._slider.setSingleStep(max(1, round(self._logic.GetLowestVolumeSliceSpacing()[2] * 100)))
        offset = self._logic.GetSliceOffset()
        self._slider.setValue(round(offset * 100))
        self._busy = False
        to_ras = node.GetSliceToRAS()
        normal = [to_ras.GetElement(i, 2) for i in range(3)]
        axis = max(range(3), key=lambda i: abs(normal[i]))
        letter = ("LR", "PA", "IS")[axis][round(normal[axis] * offset, 1) >= 0]
        self._offset.setText(f"{letter}: {abs(offset):.1f} mm")
        self.show_node(node)

    def _slid(self, position):
        if not self._busy:
            self._logic.StartSliceOffsetInteraction()
            self._logic.SetSliceOffset(position / 100)
            self._logic.EndSliceOffsetInteraction()


class ViewWidget(Manners, QtWidgets.QWidget):
    """A bar over a view."""

    def _lay_out(self, bar, view):
        self._bar, self._view = bar, view
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(view, 1)

    def viewWidget(self):
        return self._view

    def controllerWidget(self):
        return self._bar


@stand_in
class qMRMLSliceWidget(ViewWidget):
    def __init__(self, node, application_logic, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        application_logic.GetSliceLogics().AddItem(self._logic)
        self._lay_out(qMRMLSliceControllerWidget(self._logic, self), qMRMLSliceView(self._logic, self))
        self._logic.SetDisplayableManagerGroup(self._view.displayableManagerGroup())
        self._logic.SetSliceNode(node)
        self._logic.SetMRMLScene(node.GetScene())
        self._view.setMRMLSliceNode(node)
        self._logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._bar.refresh())
        self._bar.refresh()

    def sliceLogic(self):
        return self._logic

    logic = sliceLogic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceView(self):
        return self._view

    def sliceController(self):
        return self._bar

    def interactorStyle(self):
        return self._view.interactorStyle()

    def fitSliceToBackground(self):
        self._bar.fitSliceToBackground()

    def setSliceOrientation(self, orientation):
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceOrientation = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetOrientation(), setSliceOrientation)


@stand_in
class qMRMLThreeDWidget(ViewWidget):
    def __init__(self, node, application_logic, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        application_logic.GetViewLogics().AddItem(self._logic)
        self._lay_out(qMRMLViewControllerBar(self), qMRMLThreeDView(self))
        self._logic.SetDisplayableManagerGroup(self._view.displayableManagerGroup())
        self._logic.SetMRMLScene(node.GetScene())
        self._logic.AddViewNode(node.GetLayoutName())
        self._view.setMRMLViewNode(node)
        self._bar.show_node(node)

    def viewLogic(self):
        return self._logic

    logic = viewLogic

    def mrmlViewNode(self):
        return self._view.mrmlViewNode()

    def threeDView(self):
        return self._view

    def threeDController(self):
        return self._bar


@stand_in
class qMRMLPlotWidget(ViewWidget):
    def __init__(self, node, application_logic, parent=None):
        super().__init__(parent)
        self._lay_out(qMRMLViewControllerBar(self), qMRMLPlotView(self))
        self._view.setMRMLPlotViewNode(node)
        self._bar.show_node(node)

    def plotView(self):
        return self._view

    def plotController(self):
        return self._bar

    def mrmlPlotViewNode(self):
        return self._view.mrmlPlotViewNode()
