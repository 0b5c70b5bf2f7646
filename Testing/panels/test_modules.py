"""What holds of every module of the extension, in every Slicer that it runs in."""

import ast
import importlib
import importlib.util
import os
import sys
import unittest
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.host.standins import sample_data  # noqa: E402
from Testing.modules import MODULES, ROOT  # noqa: E402

WIZARD = "Modules/Scripted/ExtensionWizard/ExtensionWizardLib/ModuleInfo.py"


@pytest.mark.parametrize("version", sample_data.LOGICS)
@pytest.mark.parametrize("name", MODULES)
def test_samples_are_registered_when_slicer_has_started_and_nothing_is_made(host, monkeypatch, name, version):
    """An exception in that slot would fail every test run of the extension: the host fails this one."""
    module = sample_data.module(version)
    monkeypatch.setitem(sys.modules, "SampleData", module)
    host.open_module(MODULES[name])
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    host.app.startupCompleted.emit()
    assert all(Path(source.thumbnailFileName).is_file() and source.sampleName for source in module.registered)
    assert set(module.categories) <= {source.category for source in module.registered}
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


@pytest.mark.parametrize("name", MODULES)
def test_without_the_module_sample_data_nothing_happens(host, name):
    host.open_module(MODULES[name])
    host.app.startupCompleted.emit()


def _found_one_level_deep(folder):
    """The modules that Slicer finds in a folder that is dropped onto it, which looks into its folders and no deeper.

    A module is a file with a class of its own name that has `ScriptedLoadableModule` among its bases by that name; a
    folder with an `__init__.py` is a library.
    """
    found = set()
    for inner in (folder, *filter(Path.is_dir, folder.iterdir())):
        for file in () if (inner / "__init__.py").exists() else inner.glob("*.py"):
            classes = [node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
            bases = [base for c in classes if c.name == file.stem for base in c.bases]
            if any(isinstance(base, ast.Name) and base.id == "ScriptedLoadableModule" for base in bases):
                found.add(file.stem)
    return found


def _found_by_slicer(folder):
    """The same from the sources of Slicer that SLICER_PY is part of."""
    source = Path(os.environ.get("SLICER_PY", "")).resolve().parents[1] / WIZARD
    if not os.environ.get("SLICER_PY") or not source.is_file():
        pytest.skip(f"SLICER_PY names no checkout that holds {WIZARD}")
    spec = importlib.util.spec_from_file_location("ModuleInfo", source)
    wizard = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wizard)
    return {Path(info.path).stem for info in wizard.ModuleInfo.findModules(str(folder), 1)}


@pytest.mark.parametrize("look", [_found_one_level_deep, _found_by_slicer])
def test_the_folder_that_the_readme_says_to_drop_holds_all_modules_one_level_deep(look):
    assert "drop the inner folder `DiffReg`" in (ROOT / "README.md").read_text("utf-8")
    assert look(ROOT / "DiffReg") == set(MODULES)
    assert look(ROOT) == set()


@pytest.mark.parametrize("name", MODULES)
def test_where_packages_are_missing_the_test_of_the_module_is_skipped_and_says_so(host, monkeypatch, name):
    """The machines that build extensions have no torch."""
    from DiffRegLib.mrml.panel import packages

    host.open_module(MODULES[name])
    monkeypatch.setattr(packages, "missing", lambda: [packages.TORCH])
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(getattr(sys.modules[name], f"{name}Test"))
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun > 0 and len(result.skipped) == result.testsRun
    assert "torch" in result.skipped[0][1] and result.wasSuccessful()
    slicer.selfTests[name]()  # Reload and Test: no error either


@pytest.mark.parametrize("name", MODULES)
def test_the_test_of_the_module_passes(host, name):
    """As CTest and Reload and Test run it."""
    host.open_module(MODULES[name])
    slicer.selfTests[name]()


def test_a_slicer_that_is_too_old_is_told_so(host, monkeypatch):
    import DiffRegLib.mrml

    monkeypatch.setattr(slicer.app, "minorVersion", 8, raising=False)
    with pytest.raises(ImportError, match=r"needs Slicer 5\.10 or later, and this is Slicer 5\.8"):
        importlib.reload(DiffRegLib.mrml)
    monkeypatch.setattr(slicer.app, "minorVersion", 10, raising=False)
    importlib.reload(DiffRegLib.mrml)


@pytest.mark.parametrize(
    "file", [*MODULES.values(), ROOT / "DiffRegLib/mrml/__init__.py", ROOT / "DiffRegLib/__init__.py"]
)
def test_what_an_old_slicer_reads_before_it_is_told_so_is_python_3_9(file):
    ast.parse(file.read_text("utf-8"), feature_version=(3, 9))
