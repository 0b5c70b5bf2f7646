"""The module `qt` that a scripted module of Slicer imports: QtCore, QtGui and QtWidgets in one."""

from PySide6 import QtCore, QtGui, QtWidgets

from .dialogs import FileDialog, InputDialog, MessageBox
from .pythonqt import shim
from .ui_loader import UiLoader

Qt = QtCore.Qt
QUiLoader, QFileDialog, QInputDialog, QMessageBox = UiLoader, FileDialog, InputDialog, MessageBox


def SIGNAL(signature):
    return signature


def SLOT(signature):
    return signature


def __getattr__(name):
    for module in (QtWidgets, QtGui, QtCore):
        found = getattr(module, name, None)
        if found is not None:
            return shim(found) if isinstance(found, type) and issubclass(found, QtCore.QObject) else found
    raise AttributeError(f"module 'qt' has no attribute '{name}'")
