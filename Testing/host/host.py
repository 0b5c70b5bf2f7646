"""The running host, as tests and the command line use it."""

import contextlib
import sys
import time
import traceback
from pathlib import Path

from ..patience import patient
from . import requirements

requirements.prepare_environment()

import slicer  # noqa: E402  (Qt and VTK read the environment when they are imported)
from PySide6 import QtCore, QtWidgets  # noqa: E402

from . import python_layer  # noqa: E402
from .dialogs import script  # noqa: E402
from .event_loop import GapMeter  # noqa: E402
from .pythonqt import shim  # noqa: E402

python_layer.install_modules()

from .app import Application  # noqa: E402  (the layers below had to be installed first)
from .core import Core  # noqa: E402
from .modules import qSlicerCoreModule, qSlicerModuleManager, qSlicerScriptedLoadableModule  # noqa: E402
from .mouse import Mouse  # noqa: E402
from .window import qSlicerMainWindow  # noqa: E402

PASSES = 1000  # of the event loop, a millisecond or more each, in which the views draw what they were asked to


class Host:
    """One per process, as there is one slicer.app; `reset` gives the next test a fresh scene.

    scene, app, window, dialogs (what was shown and what to answer), mouse, errors (what Python code of slots and
    observers raised: Slicer prints it and goes on, a test must not).
    """

    def __init__(self):
        QtCore.qInstallMessageHandler(_pass_on)
        self.application = QtWidgets.QApplication.instance() or shim(QtWidgets.QApplication)(["slicer"])
        self.application.setStyle("Fusion")
        self.errors, self.dialogs, self._scripted = [], script, []
        core, module_manager = Core(), qSlicerModuleManager()
        self.scene, self.window = core.scene, qSlicerMainWindow()
        self.window.moduleSelector().follow(module_manager)
        self.app = Application(core, self.window.viewport(), module_manager)
        python_layer.install_application(self.app, self.scene)
        for name, logic in core.module_logics.items():
            module_manager.add(qSlicerCoreModule(name, logic))
        self.mouse = Mouse(self)

    # Modules

    def open_module(self, path):
        """Load the scripted module in the file `path`, show and enter its panel; returns its Python widget."""
        module = qSlicerScriptedLoadableModule(path)
        self._scripted.append(module)
        self.app.moduleManager().add(module)
        self.window.moduleSelector().list_module(module)
        slicer.util.selectModule(module.name)
        self.process()
        return module.widgetRepresentation().self()

    def close_module(self, name):
        module = next(m for m in self._scripted if m.name == name)
        self.window.moduleSelector().forget(name)
        self.app.moduleManager().unload(module)
        self._scripted.remove(module)
        if module.__dict__["_widget"] is not None:
            module.widgetRepresentation().deleteLater()
        sys.modules.pop(name, None)
        self.process()

    def close(self):
        """Let the modules clean up and the views go; the end of the host."""
        for module in list(self._scripted):
            self.close_module(module.name)
        for view in self.app.layoutManager().views():
            view.close_view()

    # Scene

    def close_scene(self):
        self.scene.Clear(False)
        self.process()

    def save_scene(self, path):
        assert slicer.util.saveScene(str(path), {}), f"the scene was not saved to {path}"

    def load_scene(self, path, clear=True):
        slicer.util.loadNodeFromFile(str(path), "SceneFile", {"clear": clear})
        self.process()

    def reset(self):
        """As after starting: no module, an empty scene, default layout and settings, nothing recorded."""
        for module in list(self._scripted):
            self.close_module(module.name)
        self.scene.Clear(False)
        self.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.app.settings().clear()
        self.app.setTestingEnabled(False)
        self.dialogs.clear()
        self._pip_record.unlink(missing_ok=True)
        (Path(self.app.temporaryPath) / "pip-status").unlink(missing_ok=True)
        self.window.resize(1400, 900)
        self.window.show()
        self.process()
        self.errors.clear()

    # Event loop

    def process(self, milliseconds=0):
        """Run the event loop at least that long, and until the views have drawn what they were asked to.

        A view that asks for a frame in each frame is not waited for in the end.
        """
        end, late = time.perf_counter() + milliseconds / 1000, 0
        while late < PASSES:
            self.application.processEvents()
            self.application.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
            if time.perf_counter() >= end:
                late += 1
                if not any(view.waits for view in self.app.layoutManager().views()):
                    return
            time.sleep(0.001)

    def wait_until(self, condition, seconds=10.0, what="the condition"):
        """Run the event loop until condition(); AssertionError after `seconds`, on a busy machine after more."""
        begin, allowed, asked = time.perf_counter(), seconds, False
        while not condition():
            if time.perf_counter() - begin > allowed:
                if asked:
                    raise AssertionError(f"{what} did not come true within {allowed:.0f} s")
                allowed, asked = patient(seconds), True
            self.process(1)

    @contextlib.contextmanager
    def measure_gaps(self):
        """Yields a GapMeter: `longest_ms` is how long the event loop was once kept from its work."""
        meter = GapMeter()
        try:
            yield meter
        finally:
            meter.stop()

    # What a person does and sees

    def click(self, button):
        """Press a button; AssertionError where a person could not."""
        assert button.isEnabled() and button.isVisible(), f"{button.objectName} cannot be clicked"
        button.click()
        self.process()

    def choose(self, selector, text):
        """Pick the entry of that text in a qMRMLNodeComboBox or a combo box, "Create new ..." included."""
        box = selector.__dict__.get("_box", selector)
        index = box.findText(text)
        assert index >= 0, f"there is no '{text}' among {[box.itemText(i) for i in range(box.count())]}"
        box.setCurrentIndex(index)
        box.activated.emit(index)
        self.process()

    def view(self, name):
        """A slice view ("Red", ...), a 3D view ("1", ...) or a plot view ("PlotView1", ...)."""
        manager = self.app.layoutManager()
        for widget in (manager.sliceWidget(name), manager.threeDWidget(name)):
            if widget is not None:
                return widget.viewWidget()
        plots = [manager.plotWidget(index) for index in range(manager.plotViewCount)]
        return next(p.plotView() for p in plots if p.mrmlPlotViewNode().GetLayoutName() == name)

    def pixels(self, name):
        """What that view shows: (height, width, 3) uint8, first row on top."""
        self.process(20)
        return self.view(name).pixels()

    def pixel_of(self, name, ras):
        """(column, row) of the point `ras` (mm) in pixels(name)."""
        view = self.view(name)
        if hasattr(view, "convertRASToXYZ"):
            x, y, _ = view.convertRASToXYZ(ras)
        else:
            renderer = view.renderer()
            renderer.SetWorldPoint(*ras, 1)
            renderer.WorldToDisplay()
            x, y, _ = renderer.GetDisplayPoint()
        return round(x), view.height - 1 - round(y)

    def screenshot(self, path):
        """Photograph the whole window into a PNG."""
        self.process(50)
        picture = self.window.grab()
        assert picture.save(str(path)), f"the picture was not written to {path}"

    @property
    def pip_calls(self):
        """The arguments of every call of pip, which the host only writes down."""
        return self._pip_record.read_text().splitlines() if self._pip_record.exists() else []

    def fail_pip(self, status=1):
        """Let the calls of pip from now on fail."""
        (Path(self.app.temporaryPath) / "pip-status").write_text(str(status))

    @property
    def _pip_record(self):
        return Path(self.app.temporaryPath) / python_layer.PIP_RECORD

    def keep_error(self, kind, error, trace):
        """To be sys.excepthook."""
        self.errors.append("".join(traceback.format_exception(kind, error, trace)))
        sys.__excepthook__(kind, error, trace)


def _pass_on(kind, context, message):
    """Qt's messages, but for the one that the platform "offscreen" has about every window."""
    if "propagateSizeHints" not in message:
        print(message, file=sys.stderr)
