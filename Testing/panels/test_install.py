"""The extension holds all that it uses, built with CMake and dropped into Slicer."""

import shutil
import subprocess
import sys

import pytest

from Testing import install_tree
from Testing.host import requirements
from Testing.modules import MODULES, ROOT
from Testing.patience import patient

BARE = """
import sys
for name in ("torch", "numba", "SimpleITK", "scipy", "skimage", "matplotlib"):
    sys.modules[name] = None  # as where it is not installed
sys.path.insert(0, {root!r})
from Testing.host.host import Host
host = Host()
host.window.show()
sys.excepthook = host.keep_error
host.dialogs.recording = True
panel = host.open_module({module!r})
import numpy
import slicer
from slicer.util import addVolumeFromArray
for role, what in {inputs!r}.items():
    if isinstance(what, str):
        node = slicer.mrmlScene.AddNewNodeByClass(what)
    else:
        node = addVolumeFromArray(numpy.arange(numpy.prod(what)).reshape(what) - 1000.0)
    panel._parameterNode.setValue(role, node)
for name, value in {settings!r}.items():
    panel._parameterNode.setValue(name, value)
host.process(50)
print(panel.ui.statusLabel.text)
host.fail_pip()
host.click(panel.ui.{button})
print([shown.kind for shown in host.dialogs.shown], host.errors)
"""
VOLUME, PIXELS = (12, 12, 12), (1, 16, 16)
CARM = {"view_1_distance": 1000.0, "view_1_isocenter_distance": 600.0, "view_1_pixel_width": 1.0}
PAIR = ({"fixed": VOLUME, "moving": VOLUME}, {}, "applyButton")
BEGINNINGS = {  # inputs, settings, and the button that needs the packages, of panels that are not of a pair
    "RegistrationReview": ({**PAIR[0], "transform": "vtkMRMLLinearTransformNode"}, {}, "applyButton"),
    "XRayPose": ({"ct": VOLUME, "xray_1": PIXELS}, CARM, "liveButton"),
}
FORGOTTEN = {  # a file, and what else tells that it is missing
    "DiffRegLib/mrml/pair/plan.py": "imports DiffRegLib.mrml.pair.plan",
    "DiffRegLib/mrml/pair/pair.ui": "",
    "XRayPoseLib/plan.py": "imports XRayPoseLib.plan",
    "Resources/Icons/XRayPose.png": "",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    return install_tree.install(tmp_path_factory.mktemp("install"))


def test_every_file_is_installed(installed):
    assert install_tree.missing_files(installed) == []


def test_a_slicer_that_is_too_old_is_refused_by_name(installed, tmp_path):
    with pytest.raises(SystemExit, match=r"DiffReg needs Slicer 5\.10 or later"):
        install_tree.install(tmp_path, "5.8.1")


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_file_that_was_forgotten_is_found_out(installed, name, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(installed, tree)
    (tree / name).unlink()
    faults = install_tree.missing_files(tree)
    assert any("is not installed" in fault and name in fault for fault in faults)
    assert any(FORGOTTEN[name] in fault for fault in faults)


def test_the_installed_modules_use_the_library_beside_them(installed):
    assert install_tree.worker_starts(installed)
    _load([installed / f"{name}.py" for name in MODULES], installed)


def test_the_repository_dropped_into_slicer_uses_its_own_library(tmp_path):
    copy = install_tree.drop(tmp_path)
    assert install_tree.worker_starts(copy)
    _load([copy / f"DiffReg/{name}/{name}.py" for name in MODULES], copy)


def _load(modules, library):
    if requirements.missing():
        pytest.skip(requirements.missing())
    assert install_tree.loaded_libraries(modules) == [str(library / "DiffRegLib/__init__.py")] * len(modules)


@pytest.mark.parametrize("name", MODULES)
def test_a_panel_works_without_the_packages_until_a_button_needs_them_and_asks(name):
    """In a process of its own, in which importing any of them fails."""
    if requirements.missing():
        pytest.skip(requirements.missing())
    inputs, settings, button = BEGINNINGS.get(name, PAIR)
    script = BARE.format(root=str(ROOT), module=str(MODULES[name]), inputs=inputs, settings=settings, button=button)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=patient(120))
    assert done.stdout.splitlines()[-2:] == ["", "['question'] []"], done.stdout + done.stderr
