"""slicer.app: what a panel asks of the application."""

import sys
import tempfile
from pathlib import Path

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal

from .layout_manager import qSlicerLayoutManager
from .pythonqt import Manners
from .storage import CoreIOManager


class Application(Manners, QtCore.QObject):
    startupCompleted = Signal()
    lastWindowClosed = Signal()
    mrmlSceneChanged = Signal(object)

    applicationName = applicationDisplayName = mainApplicationName = "Slicer"
    majorVersion, minorVersion, revision, applicationVersion = 5, 13, "0", "5.13.0-testhost"
    documentationBaseUrl = "https://slicer.readthedocs.io/en/latest/"
    os = {"win32": "win", "darwin": "macosx"}.get(sys.platform, "linux")

    def __init__(self, core, viewport, module_manager):
        super().__init__()
        self._core, self._module_manager, self._testing = core, module_manager, False
        self.held = QtCore.Qt.MouseButton.NoButton  # by the hand of a test
        self._home = Path(tempfile.mkdtemp(prefix="slicer-test-host-"))
        self.temporaryPath = str(self._home)
        self.slicerHome = self.defaultScenePath = self.temporaryPath
        self._start_settings()
        self._layout_manager = qSlicerLayoutManager(core, viewport)
        self._io_manager = CoreIOManager(core)

    def _start_settings(self):
        """Settings go to a file that lives as long as the host: nothing of the user's is read or changed."""
        formats, scopes = QtCore.QSettings.Format, QtCore.QSettings.Scope
        QtCore.QSettings.setDefaultFormat(formats.IniFormat)
        QtCore.QSettings.setPath(formats.IniFormat, scopes.UserScope, self.temporaryPath)
        QtWidgets.QApplication.setOrganizationName("slicer.org")
        QtWidgets.QApplication.setApplicationName("SlicerTestHost")
        self._settings = QtCore.QSettings()
        self.slicerUserSettingsFilePath = self._settings.fileName()

    def mrmlScene(self):
        return self._core.scene

    def applicationLogic(self):
        return self._core.application_logic

    def layoutManager(self):
        return self._layout_manager

    def moduleManager(self):
        return self._module_manager

    def coreIOManager(self):
        return self._io_manager

    ioManager = coreIOManager

    def userSettings(self):
        return self._settings

    settings = revisionUserSettings = userSettings

    def testingEnabled(self):
        return self._testing

    def setTestingEnabled(self, enabled):
        self._testing = enabled

    def processEvents(self):
        QtWidgets.QApplication.processEvents()

    def setOverrideCursor(self, cursor):
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        QtWidgets.QApplication.restoreOverrideCursor()

    def pauseRender(self):
        self._layout_manager.pauseRender()

    def resumeRender(self):
        self._layout_manager.resumeRender()

    def translate(self, context, text):
        return text

    def moduleDocumentationUrl(self, module_name):
        return self.documentationBaseUrl + module_name

    def topLevelWidgets(self):
        return QtWidgets.QApplication.topLevelWidgets()

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    environment = startupEnvironment

    def clipboard(self):
        return QtWidgets.QApplication.clipboard()

    def keyboardModifiers(self):
        return QtWidgets.QApplication.keyboardModifiers()

    def mouseButtons(self):
        return self.held or QtWidgets.QApplication.mouseButtons()

    def palette(self):
        return QtWidgets.QApplication.palette()

    def style(self):
        return QtWidgets.QApplication.style()

    def thread(self):
        return QtCore.QCoreApplication.instance().thread()

    def restart(self):
        raise RuntimeError("The test host cannot restart itself.")
