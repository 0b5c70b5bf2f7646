"""The module `ctk`: the CTK widgets that a registration panel uses."""

from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_numbers import ctkDoubleRangeSlider, ctkDoubleSlider, ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from .dialogs import ctkMessageBox
from .pythonqt import Manners, stand_in, stored

__all__ = [
    "ctkDoubleRangeSlider",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "ctkMessageBox",
    "ctkRangeWidget",
    "ctkSliderWidget",
]


class Folding:
    """Mixed into a section whose children are hidden while it is folded.

    What a child was told by itself counts: one that was hidden stays hidden when the section unfolds, one that was
    shown in a folded section is seen when that unfolds.
    """

    WANTED = "visibilityToParent"  # whether the child was last told to be seen

    def _fold(self, folded):
        self._folded = folded
        for child in QtCore.QObject.children(self):
            if isinstance(child, QtWidgets.QWidget):
                self._force(child)

    def _force(self, child):
        told = child.property(self.WANTED)
        self._forcing = True
        child.setVisible(told is not False and not self.__dict__.get("_folded", False))
        # or Qt would pass over what it is told next, as something that holds already
        child.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, told is not None)
        self._forcing = False

    def childEvent(self, event):
        child = event.child()
        if isinstance(child, QtWidgets.QWidget):
            if event.added():
                child.installEventFilter(self)
            elif event.polished() and self.__dict__.get("_folded"):
                self._force(child)
        super().childEvent(event)

    def eventFilter(self, child, event):
        kinds = QtCore.QEvent.Type
        if event.type() in (kinds.ShowToParent, kinds.HideToParent) and not self.__dict__.get("_forcing"):
            child.setProperty(self.WANTED, event.type() == kinds.ShowToParent)
            if self.__dict__.get("_folded"):
                self._force(child)
        return super().eventFilter(child, event)


@stand_in
class ctkCollapsibleButton(Folding, Manners, QtWidgets.QAbstractButton):
    """A titled section that folds its contents away."""

    contentsCollapsed = Signal(bool)
    TITLE_HEIGHT = 23

    def __init__(self, *arguments):
        super().__init__(*[a for a in arguments if isinstance(a, QtWidgets.QWidget)])
        self.setText(next((a for a in arguments if isinstance(a, str)), ""))
        self._collapsed = False
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(2, self.TITLE_HEIGHT, 2, 2)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(lambda on: self.setCollapsed(not on))

    def setCollapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        self._fold(collapsed)
        self.setMaximumHeight(self.TITLE_HEIGHT if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, lambda self: self._collapsed, setCollapsed)
    flat = stored(bool, "flat", False)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)
    contentsLineWidth = stored(int, "contentsLineWidth", 1)
    collapsedHeight = stored(int, "collapsedHeight", 0)
    buttonTextAlignment = stored(int, "buttonTextAlignment", 0x81)

    def sizeHint(self):
        contents = QtWidgets.QWidget.layout(self)
        if contents is None or self._collapsed:
            return QtCore.QSize(80, self.TITLE_HEIGHT)
        return contents.totalSizeHint().expandedTo(QtCore.QSize(80, self.TITLE_HEIGHT + 4))

    def minimumSizeHint(self):
        contents = QtWidgets.QWidget.layout(self)
        if contents is None or self._collapsed:
            return QtCore.QSize(80, self.TITLE_HEIGHT)
        return contents.totalMinimumSize().expandedTo(QtCore.QSize(80, self.TITLE_HEIGHT + 4))

    def hitButton(self, position):
        return position.y() < self.TITLE_HEIGHT

    def paintEvent(self, event):
        painter, width = QtWidgets.QStylePainter(self), QtWidgets.QWidget.width(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, width, self.TITLE_HEIGHT - 2)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(5, 5, 11, 11)
        elements = QtWidgets.QStyle.PrimitiveElement
        kind = elements.PE_IndicatorArrowRight if self._collapsed else elements.PE_IndicatorArrowDown
        painter.drawPrimitive(kind, arrow)
        title = QtCore.QRect(22, 0, width - 22, self.TITLE_HEIGHT - 2)
        painter.drawText(title, QtCore.Qt.AlignmentFlag.AlignVCenter, self.text)
        if not self._collapsed:
            painter.setPen(QtGui.QColor(160, 160, 160))
            height = QtWidgets.QWidget.height(self)
            painter.drawRect(0, self.TITLE_HEIGHT - 2, width - 1, height - self.TITLE_HEIGHT + 1)


@stand_in
class ctkCollapsibleGroupBox(Folding, Manners, QtWidgets.QGroupBox):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setCheckable(True)
        self.toggled.connect(self._unfold)

    def _unfold(self, unfolded):
        self._fold(not unfolded)
        self.setMaximumHeight(16777215 if unfolded else 24)

    collapsed = Property(bool, lambda self: not self.checked, lambda self, value: self.setChecked(not value))


@stand_in
class ctkPathLineEdit(Manners, QtWidgets.QWidget):
    """A line for a path, and a button that opens a file dialog."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    Dirs, Files, Drives, NoDot, NoDotDot, Readable, Writable, Executable = 1, 2, 4, 0x2000, 0x4000, 0x10, 0x20, 0x40

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit = QtWidgets.QLineEdit(self)
        self._browse = QtWidgets.QToolButton(self, text="...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        layout.addWidget(self._browse)
        self._edit.textChanged.connect(self.currentPathChanged)
        self._browse.clicked.connect(self.browse)

    currentPath = Property(str, lambda self: self._edit.text(), lambda self, path: self._edit.setText(path))
    filters = stored(int, "filters", Files | NoDot | NoDotDot | Readable)
    options = stored(int, "options", 0)
    nameFilters = stored("QStringList", "nameFilters", ())
    settingKey = stored(str, "settingKey", "")
    label = stored(str, "label", "")
    showHistoryButton = stored(bool, "showHistoryButton", True)
    showBrowseButton = stored(bool, "showBrowseButton", True)

    def browse(self):
        from .dialogs import QFileDialog

        path = QFileDialog.getOpenFileName(self, self.label or "Select a file", str(Path(self.currentPath).parent))
        if path:
            self.currentPath = path

    def addCurrentPathToHistory(self):
        """The host keeps no history."""


@stand_in
class ctkDirectoryButton(Manners, QtWidgets.QPushButton):
    directoryChanged = Signal(str)

    def _set_directory(self, path):
        path = str(Path(path).absolute())
        if path != self.text:
            self.setText(path)
            self.directoryChanged.emit(path)

    directory = Property(str, lambda self: self.text, _set_directory)


@stand_in
class ctkColorPickerButton(Manners, QtWidgets.QPushButton):
    colorChanged = Signal(QtGui.QColor)

    def _set_color(self, color):
        if color != self.color:
            self._color = color
            self.colorChanged.emit(color)

    color = Property(QtGui.QColor, lambda self: self.__dict__.get("_color", QtGui.QColor("black")), _set_color)


@stand_in
class ctkComboBox(Manners, QtWidgets.QComboBox):
    defaultText = stored(str, "defaultText", "")


@stand_in
class ctkCheckBox(Manners, QtWidgets.QCheckBox):
    pass


@stand_in
class ctkCheckablePushButton(Manners, QtWidgets.QPushButton):
    checkBoxToggled = Signal(bool)
    checkBoxControlsButtonToggleState = stored(bool, "checkBoxControlsButtonToggleState", True)


@stand_in
class ctkFittedTextBrowser(Manners, QtWidgets.QTextBrowser):
    pass
