"""`import slicer`, `qt` and `ctk` as inside Slicer: the host's widgets and application, and Slicer's Python layer.

The Python layer is Slicer's own when the environment variable SLICER_PY names a checkout's Base/Python; else the
stand-ins beside this file, with slicer.util of slicer-core, which is Slicer's in both cases.
"""

import importlib
import importlib.util
import os
import stat
import sys
import types
from pathlib import Path

import slicer

from . import ctk, mrml_widgets, qt  # noqa: F401  (imported: they enter stand_in.classes)
from .pythonqt import stand_in

STAND_INS = Path(__file__).parent / "standins"
PIP_RECORD = "pip-calls.txt"


def slicers_own():
    """The folder `slicer` of Slicer's Python layer, or None where the stand-ins are used."""
    folder = os.environ.get("SLICER_PY")
    if not folder:
        return None
    found = Path(folder) / "slicer"
    if not (found / "ScriptedLoadableModule.py").is_file():
        raise FileNotFoundError(f"SLICER_PY={folder}: it has to name Base/Python of a Slicer checkout.")
    return found


def install_modules():
    """Make qt, ctk and slicer's widgets and Python layer importable; slicer.app comes later."""
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    _publish_widgets()
    slicer.modules = types.ModuleType("slicer.modules")
    slicer.moduleNames = types.ModuleType("slicer.moduleNames")
    sys.modules["slicer.modules"], sys.modules["slicer.moduleNames"] = slicer.modules, slicer.moduleNames
    own = slicers_own()
    if own is None:
        slicer.__path__.append(str(STAND_INS))
    else:
        slicer.__path__.insert(0, str(own))
        sys.modules.pop("slicer.util", None)
        slicer.util = importlib.import_module("slicer.util")


def install_application(app, scene):
    """slicer.app and slicer.mrmlScene, and what needs them to be imported."""
    _publish_widgets()
    slicer.app, slicer.mrmlScene = app, scene
    sys.modules["slicer.app"] = app
    for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper"):
        importlib.import_module(f"slicer.{name}")
    if importlib.util.find_spec("slicer.packaging") is not None:  # Slicer 5.10 has none
        importlib.import_module("slicer.packaging")
    make_python_slicer(Path(app.temporaryPath))


def _publish_widgets():
    for name, cls in stand_in.classes.items():
        if name.startswith(("qMRML", "qSlicer")):
            setattr(slicer, name, cls)


def make_python_slicer(folder):
    """PythonSlicer on the PATH: this Python, but pip is only written down and ends with the status in `pip-status`."""
    launcher = folder / "PythonSlicer"
    launcher.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = "-m" ] && [ "$2" = "pip" ]; then\n'
        f'  shift 2; echo "$@" >> "{folder}/{PIP_RECORD}"; exit "$(cat "{folder}/pip-status" 2>/dev/null || echo 0)"\n'
        "fi\n"
        f'exec "{sys.executable}" "$@"\n'
    )
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
