"""The main window: module panel at the left, views at the right, as Slicer lays them out."""

from PySide6 import QtCore, QtGui, QtWidgets

from .pythonqt import Manners, stand_in


@stand_in
class qSlicerMainWindow(Manners, QtWidgets.QMainWindow):
    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (test host)")
        self._selector = qSlicerModuleSelectorToolBar(self)
        self._viewport = QtWidgets.QFrame()
        self._viewport.setStyleSheet("QSplitter::handle { background: #3a3a3a }")
        splitter = QtWidgets.QSplitter()
        splitter.addWidget(self._panel())
        splitter.addWidget(self._viewport)
        splitter.setSizes([460, 940])
        splitter.setStretchFactor(1, 1)
        self.addToolBar(self._selector)
        self.setCentralWidget(splitter)
        self.statusBar().showMessage("")
        self.resize(1400, 900)

    def _panel(self):
        column = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(column)
        layout.setContentsMargins(3, 3, 3, 3)
        self._title = QtWidgets.QLabel("3D Slicer")
        font = QtGui.QFont(self._title.font())
        font.setPointSizeF(font.pointSizeF() * 1.3)
        font.setBold(True)
        self._title.setFont(font)
        self._scroll = QtWidgets.QScrollArea(widgetResizable=True, minimumWidth=330)
        self._scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout.addWidget(self._title)
        layout.addWidget(self._scroll, 1)
        return column

    def viewport(self):
        return self._viewport

    def moduleSelector(self):
        return self._selector

    def show_panel(self, title, widget):
        """Put a module's panel into the scroll area; the one before is given back to its owner."""
        before = self._scroll.takeWidget()
        if before is not None:
            before.setParent(None)
        self._title.setText(title)
        if widget is not None:
            self._scroll.setWidget(widget)
            widget.show()


@stand_in
class qSlicerModuleSelectorToolBar(Manners, QtWidgets.QToolBar):
    """Which module is shown: leaves the old one, enters the new one."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, window):
        super().__init__("Module selection", window)
        self._window_, self._modules, self._current = window, None, ""
        self._box = QtWidgets.QComboBox(minimumContentsLength=24)
        self.addWidget(QtWidgets.QLabel(" Modules: "))
        self.addWidget(self._box)
        self._box.textActivated.connect(self._activated)

    def follow(self, module_manager):
        self._modules = module_manager

    def list_module(self, module):
        self._box.addItem(module.title or module.name, module.name)

    def _activated(self, _):
        self.selectModule(self._box.currentData())

    def selectModule(self, name):
        self._leave()
        module = self._modules.module(name) if name else None
        self._current = name if module is not None else ""
        if module is None:
            self._window_.show_panel("3D Slicer", None)
            return
        widget = module.widgetRepresentation()
        self._window_.show_panel(module.title, widget)
        self._box.setCurrentIndex(self._box.findData(name))
        widget.enter()
        self.moduleSelected.emit(name)

    def forget(self, name):
        if name == self._current:
            self.selectModule("")
        self._box.removeItem(self._box.findData(name))

    def _leave(self):
        module = self._modules.module(self._current) if self._current else None
        if module is not None:
            module.widgetRepresentation().exit()

    selectedModule = QtCore.Property(str, lambda self: self._current)
