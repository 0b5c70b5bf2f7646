"""The extension holds all that it uses, built with CMake and dropped into Slicer."""

import shutil

import pytest

from Testing import install_tree
from Testing.host import requirements

MODULES = ("SplatRegistration", "XRayPose")
FORGOTTEN = [file for name in MODULES for file in (f"{name}Lib/plan.py", f"Resources/UI/{name}.ui")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    return install_tree.install(tmp_path_factory.mktemp("install"))


def test_every_file_is_installed(installed):
    assert {module.name for module in install_tree.modules()} == set(MODULES)
    assert install_tree.missing_files(installed) == []


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_file_that_was_forgotten_is_found_out(installed, name, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(installed, tree)
    (tree / name).unlink()
    faults = install_tree.missing_files(tree)
    assert any("is not installed" in fault and name in fault for fault in faults)
    imported = "imports " + name.removesuffix(".py").replace("/", ".")
    assert any(imported in fault or f"opens {name}" in fault for fault in faults)


def test_the_installed_modules_use_the_library_beside_them(installed):
    assert install_tree.worker_starts(installed)
    for name in MODULES:
        _loads(installed / f"{name}.py", installed)


def test_the_repository_dropped_into_slicer_uses_its_own_library(tmp_path):
    copy = install_tree.drop(tmp_path)
    assert install_tree.worker_starts(copy)
    for name in MODULES:
        _loads(copy / f"DiffReg/{name}/{name}.py", copy)


def _loads(module, library):
    if requirements.missing():
        pytest.skip(requirements.missing())
    assert install_tree.loaded_library(module) == str(library / "DiffRegLib/__init__.py")
