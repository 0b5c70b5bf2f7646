"""Message boxes, file dialogs and name dialogs: shown to a person, recorded and answered for a test."""

from dataclasses import dataclass

from PySide6 import QtCore, QtWidgets

from .pythonqt import Manners, shim, stand_in


@dataclass(frozen=True)
class Shown:
    """A dialog that was shown: kind is "critical", "question", "information", "warning", "plain", "file" or "text"."""

    kind: str
    text: str
    details: str = ""


class Script:
    """What happens when a dialog opens. While `recording`, it is kept in `shown` and closed with the next of `answers`.

    Without an answer a message box is closed with its positive button (Ok, Yes), a file or name dialog is cancelled.
    """

    def __init__(self):
        self.recording, self.shown, self.answers = False, [], []

    def clear(self):
        self.shown.clear()
        self.answers.clear()

    def next(self, shown, default):
        self.shown.append(shown)
        return self.answers.pop(0) if self.answers else default


script = Script()
KINDS = {1: "information", 2: "warning", 3: "critical", 4: "question"}
POSITIVE = ("Ok", "Yes", "Save", "Open", "Close")


class RecordedBox:
    """exec_() of a message box."""

    def exec_(self):
        if not script.recording:
            return self.exec()
        buttons = QtWidgets.QMessageBox.standardButtons(self)
        names = QtWidgets.QMessageBox.StandardButton
        default = next((names[n] for n in POSITIVE if names[n] in buttons), names.Ok)
        kind = KINDS.get(QtWidgets.QMessageBox.icon(self).value, "plain")
        return script.next(Shown(kind, self.text, self.detailedText), default)


def _static(kind):
    def ask(parent, title, text, *buttons):
        if not script.recording:
            return getattr(QtWidgets.QMessageBox, kind)(parent, title, text, *buttons)
        names = QtWidgets.QMessageBox.StandardButton
        return script.next(Shown(kind, text), names.Yes if kind == "question" else names.Ok)

    return staticmethod(ask)


class QMessageBox(RecordedBox, shim(QtWidgets.QMessageBox)):
    _plain = True
    information, warning = _static("information"), _static("warning")
    critical, question = _static("critical"), _static("question")


@stand_in
class ctkMessageBox(Manners, RecordedBox, QtWidgets.QMessageBox):
    """A message box that can be told not to come again."""

    dontShowAgainVisible = QtCore.Property(bool, lambda self: False, lambda self, value: None)
    dontShowAgainSettingsKey = QtCore.Property(str, lambda self: "", lambda self, value: None)


def _first(cls, name, kind, cancelled):
    """`cls.name` returning the value alone, as PythonQt does; PySide6 adds the filter or whether it was accepted."""

    def ask(*arguments):
        title = next((a for a in arguments if isinstance(a, str)), "")
        return script.next(Shown(kind, title), cancelled) if script.recording else getattr(cls, name)(*arguments)[0]

    return staticmethod(ask)


class QFileDialog(shim(QtWidgets.QFileDialog)):
    _plain = True
    getOpenFileName = _first(QtWidgets.QFileDialog, "getOpenFileName", "file", "")
    getSaveFileName = _first(QtWidgets.QFileDialog, "getSaveFileName", "file", "")
    getOpenFileNames = _first(QtWidgets.QFileDialog, "getOpenFileNames", "file", ())


class QInputDialog(shim(QtWidgets.QInputDialog)):
    _plain = True
    getText = _first(QtWidgets.QInputDialog, "getText", "text", "")
    getItem = _first(QtWidgets.QInputDialog, "getItem", "text", "")
