"""The module `qt` that a scripted module of Slicer imports: QtCore, QtGui and QtWidgets in one."""

from PySide6 import QtCore, QtGui, QtWidgets

from .dialogs import QFileDialog, QInputDialog, QMessageBox
from .pythonqt import shim
from .ui_loader import UiLoader

__all__ = ["QFileDialog", "QInputDialog", "QMessageBox"]

Qt = QtCore.Qt
QUiLoader = UiLoader


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
