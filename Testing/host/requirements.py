"""What the host needs and does not find: asked before anything is imported that could take the process down."""

import functools
import importlib.util
import os
import subprocess
import sys

PACKAGES = {"slicer_core": "slicer-core", "PySide6": "PySide6"}
LIBRARIES = "libegl1 libegl-mesa0 libgl1-mesa-dri (Debian's names)"
PROBE = "import vtk; w = vtk.vtkRenderWindow(); w.SetShowWindow(False); w.SetOffScreenRendering(1); w.Render()"
PROBE += "; raise SystemExit(not w.SupportsOpenGL())"


@functools.cache
def missing():
    """One sentence on what is missing and how to get it; empty when the host can run."""
    absent = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if absent:
        return f"The test host needs {' and '.join(absent)}: pip install {' '.join(absent)}"
    prepare_environment()
    if subprocess.run([sys.executable, "-c", PROBE], capture_output=True, timeout=120).returncode:
        return f"The test host found no usable OpenGL; on Linux install {LIBRARIES}."
    return ""


def prepare_environment():
    """Without a screen, Qt draws into memory and VTK through EGL. Must come before either is imported."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.*=false")
