"""slicer.app.layoutManager(): the views of the layout node's description, made by Slicer's layout logic, as widgets."""

import xml.etree.ElementTree as ElementTree

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .pythonqt import Manners, stand_in
from .render_view import RenderView
from .view_widgets import qMRMLPlotWidget, qMRMLSliceWidget, qMRMLThreeDWidget

WIDGETS = {
    "vtkMRMLSliceNode": qMRMLSliceWidget,
    "vtkMRMLViewNode": qMRMLThreeDWidget,
    "vtkMRMLPlotViewNode": qMRMLPlotWidget,
}


@stand_in
class qSlicerLayoutManager(Manners, QtCore.QObject):
    layoutChanged = Signal(int)

    def __init__(self, core, viewport):
        super().__init__()
        self._core, self._viewport, self._widgets, self._shown = core, viewport, {}, None
        QtWidgets.QVBoxLayout(viewport).setContentsMargins(0, 0, 0, 0)
        node = core.layout_logic.GetLayoutNode()
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._arrange())
        core.scene.AddObserver(core.scene.EndBatchProcessEvent, lambda *_: self._arrange())
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def viewport(self):
        return self._viewport

    def layoutLogic(self):
        return self._core.layout_logic

    def setLayout(self, layout):
        self._core.layout_logic.GetLayoutNode().SetViewArrangement(layout)
        self._arrange()

    layout = Property(int, lambda self: self._core.layout_logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._of("vtkMRMLViewNode")))
    plotViewCount = Property(int, lambda self: len(self._of("vtkMRMLPlotViewNode")))
    tableViewCount = Property(int, lambda self: 0)

    def sliceViewNames(self):
        return tuple(w.mrmlSliceNode().GetLayoutName() for w in self._of("vtkMRMLSliceNode"))

    def sliceWidget(self, name):
        return next((w for w in self._of("vtkMRMLSliceNode") if w.mrmlSliceNode().GetLayoutName() == name), None)

    def threeDWidget(self, which):
        views = self._of("vtkMRMLViewNode")
        if isinstance(which, str):
            return next((w for w in views if w.mrmlViewNode().GetLayoutName() == which), None)
        return views[which] if which < len(views) else None

    def plotWidget(self, index):
        views = self._of("vtkMRMLPlotViewNode")
        return views[index] if index < len(views) else None

    def viewWidget(self, node):
        return self._widgets.get(node.GetID())

    def mrmlSliceLogics(self):
        return self._core.application_logic.GetSliceLogics()

    def mrmlViewLogics(self):
        return self._core.application_logic.GetViewLogics()

    def resetSliceViews(self):
        for widget in self._of("vtkMRMLSliceNode"):
            widget.fitSliceToBackground()

    def resetThreeDViews(self):
        for widget in self._of("vtkMRMLViewNode"):
            widget.threeDView().resetFocalPoint()

    def pauseRender(self):
        RenderView.paused += 1

    def resumeRender(self):
        RenderView.paused -= 1

    def activeMRMLThreeDViewNode(self):
        return self._of("vtkMRMLViewNode")[0].mrmlViewNode() if self.threeDViewCount else None

    def views(self):
        """Every RenderView that was made, shown or not."""
        return [widget.viewWidget() for widget in self._widgets.values()]

    def _of(self, class_name):
        return [w for w in self._widgets.values() if isinstance(w, WIDGETS[class_name])]

    def _arrange(self):
        """Build the widgets of the current description."""
        node = self._core.layout_logic.GetLayoutNode()
        description = node.GetCurrentLayoutDescription()
        if not description or description == self._shown or self._core.scene.IsBatchProcessing():
            return
        self._shown = description
        for widget in self._widgets.values():
            widget.setParent(None)
            self._node_of(widget).SetMappedInLayout(0)
        column = QtWidgets.QWidget.layout(self._viewport)
        while column.count():
            column.takeAt(0).widget().deleteLater()
        column.addWidget(self._build(ElementTree.fromstring(description)))
        self.layoutChanged.emit(node.GetViewArrangement())

    def _build(self, element):
        if element.tag == "view":
            return self._view(element)
        parts = [(item, self._build(item[0])) for item in element.findall("item")]
        if element.get("type") == "tab":
            return _tabs(parts)
        if element.get("type") == "grid":
            return _grid(parts)
        return _splitter(parts, element.get("type") == "vertical")

    def _view(self, element):
        class_name, tag = element.get("class"), element.get("singletontag")
        if class_name not in WIDGETS:
            return QtWidgets.QLabel(f"The test host has no widget for a {class_name}.")
        node = self._core.scene.GetSingletonNode(tag, class_name)
        if node.GetID() not in self._widgets:
            widget = WIDGETS[class_name](node, self._core.application_logic, self._viewport)
            widget.setObjectName(f"{widget.className()}{node.GetLayoutName()}")
            self._widgets[node.GetID()] = widget
        node.SetMappedInLayout(1)
        widget = self._widgets[node.GetID()]
        widget.setVisible(True)
        return widget

    def _node_of(self, widget):
        return next(self._core.scene.GetNodeByID(i) for i, w in self._widgets.items() if w is widget)


def _splitter(parts, vertical):
    orientation = QtCore.Qt.Orientation.Vertical if vertical else QtCore.Qt.Orientation.Horizontal
    splitter = QtWidgets.QSplitter(orientation)
    splitter.setHandleWidth(3)
    for _, widget in parts:
        splitter.addWidget(widget)
    splitter.setSizes([int(item.get("splitSize", 500)) for item, _ in parts])
    return splitter


def _grid(parts):
    page = QtWidgets.QWidget()
    grid = QtWidgets.QGridLayout(page)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(3)
    for item, widget in parts:
        spans = int(item.get("rowspan", 1)), int(item.get("colspan", 1))
        grid.addWidget(widget, int(item.get("row", 0)), int(item.get("column", 0)), *spans)
    return page


def _tabs(parts):
    tabs = QtWidgets.QTabWidget()
    for item, widget in parts:
        tabs.addTab(widget, item.get("name", ""))
    return tabs
