"""What goes wrong is one sentence in the panel, in the names of the nodes, and Apply works again."""

import subprocess
import sys
import types

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.modules import ROOT  # noqa: E402
from Testing.panels import splat_panel as splat  # noqa: E402
from Testing.panels.splat_panel import parameters  # noqa: E402


@pytest.fixture
def panel(host):
    return splat.open_panel(host)


def _fails(host, panel, *words):
    """Runs, expects a sentence with these words, and an unchanged scene."""
    before = splat.scene_as_text()
    splat.run(host, panel)
    said = panel.ui.statusLabel.text
    assert all(word in said for word in words), said
    assert said in panel.ui.logTextEdit.plainText
    assert splat.scene_as_text() == before
    assert panel.ui.applyButton.enabled and panel.ui.applyButton.text == "Apply"


def test_an_error_of_the_library_names_the_node_and_apply_works_again(host, panel):
    fixed, moving = splat.choose_points(panel)
    few = splat.points_node("Too few", splat.cloud(5))
    parameters(panel).moving = few
    _fails(host, panel, '"Too few"', "5")
    assert str(slicer.app.temporaryPath) not in panel.ui.statusLabel.text
    parameters(panel).moving = moving
    splat.run(host, panel)
    assert panel.ui.statusLabel.text == "" and splat.error_mm(fixed, parameters(panel).output_warped) < 1.0


def test_voxels_that_are_no_numbers(host, panel):
    splat.choose_points(panel)
    volume = splat.labels_node("Broken CT", (0, 0, 0), "vtkMRMLScalarVolumeNode")
    slicer.util.updateVolumeFromArray(volume, np.full((9, 10, 11), np.nan, dtype=np.float32))
    parameters(panel).moving = volume
    _fails(host, panel, '"Broken CT"')


def test_a_volume_that_shows_neither_lungs_nor_labels(host, panel):
    splat.choose_points(panel)
    volume = splat.labels_node("Noise", (0, 0, 0), "vtkMRMLScalarVolumeNode")
    noise = np.random.default_rng(0).normal(300, 80, (12, 13, 14)).astype(np.float32)
    slicer.util.updateVolumeFromArray(volume, noise)
    parameters(panel).fixed = volume
    _fails(host, panel, '"Noise"')


def test_a_segmentation_whose_segments_are_empty(host, panel):
    splat.choose_points(panel)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    segmentation.GetSegmentation().AddEmptySegment("liver")
    parameters(panel).fixed = segmentation
    _fails(host, panel, '"Organs"')


def test_a_full_disk_while_the_input_is_written(host, panel, monkeypatch, tmp_path):
    splat.choose_points(panel)
    _job_folder(monkeypatch, tmp_path).joinpath("fixed.mrk.json").symlink_to("/dev/full")
    _fails(host, panel, "disk")


def test_a_full_disk_while_the_job_is_written(host, panel, monkeypatch, tmp_path):
    splat.choose_points(panel)
    _job_folder(monkeypatch, tmp_path).joinpath("job.json").symlink_to("/dev/full")
    splat.run(host, panel)
    assert "No space left on device" in panel.ui.statusLabel.text and panel.ui.applyButton.enabled


def test_a_full_disk_in_the_worker(host, panel, monkeypatch, tmp_path):
    splat.choose_points(panel)
    _job_folder(monkeypatch, tmp_path).joinpath("progress.jsonl").symlink_to("/dev/full")
    splat.run(host, panel)
    assert "is full" in panel.ui.statusLabel.text and panel.ui.applyButton.enabled


def test_no_folder_for_temporary_files(host, panel, monkeypatch, tmp_path):
    splat.choose_points(panel)
    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path / "gone"))
    host.click(panel.ui.applyButton)
    assert "No such file or directory" in panel.ui.statusLabel.text and panel.ui.applyButton.enabled


def _job_folder(monkeypatch, tmp_path):
    """The folder that the next run will take for its job."""
    from DiffRegLib.mrml.panel import run

    folder = tmp_path / "diffreg-job"
    folder.mkdir()
    monkeypatch.setattr(run.tempfile, "mkdtemp", lambda **_: str(folder))
    return folder


def test_a_worker_that_cannot_be_started(host, panel, monkeypatch):
    from DiffRegLib.mrml.panel import program

    splat.choose_points(panel)
    monkeypatch.setattr(program, "python_program", lambda: "/nowhere/PythonSlicer")
    before = splat.scene_as_text()
    splat.run(host, panel)
    assert "/nowhere/PythonSlicer did not start" in panel.ui.statusLabel.text
    assert splat.scene_as_text() == before


def test_a_node_that_is_deleted_while_the_worker_runs(host, panel):
    _, moving = splat.choose_points(panel)
    host.click(panel.ui.applyButton)
    splat.working(host, panel)
    slicer.mrmlScene.RemoveNode(moving)
    splat.finish(host, panel)
    for name in ("output_transform", "output_inverse", "output_warped"):
        assert parameters(panel).getValue(name).GetScene() is slicer.mrmlScene
    assert "Folded voxels" in panel.ui.measuresLabel.text and not panel.ui.flickerButton.enabled
    assert panel.ui.applyButton.text == "Select a moving input"


@pytest.fixture
def absent(monkeypatch):
    """Packages that are not installed; an installation makes them appear."""
    from DiffRegLib.mrml.panel import packages

    gone = {"numba>=0.61", packages.TORCH}
    monkeypatch.setattr(packages, "missing", lambda: sorted(gone))

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            gone.discard(packages.TORCH)
            return types.ModuleType("torch")

    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    extension.__spec__ = types.SimpleNamespace(name="PyTorchUtils")
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    real = packages._install

    def install(requirements, requester):
        real(requirements, requester)
        gone.difference_update(requirements)

    monkeypatch.setattr(packages, "_install", install)
    return gone


def test_missing_packages_are_asked_for_once(host, panel, absent):
    import qt

    splat.choose_points(panel)
    host.dialogs.answers = [qt.QMessageBox.Cancel]
    host.click(panel.ui.applyButton)
    assert panel.runner.run is None and "numba, torch" in panel.ui.statusLabel.text and absent
    host.click(panel.ui.applyButton)
    assert len(host.dialogs.shown) == 2 and not absent
    splat.finish(host, panel)
    assert parameters(panel).output_transform is not None


def test_without_the_pytorch_extension_the_panel_says_how_to_get_it(host, panel, absent, monkeypatch):
    splat.choose_points(panel)
    monkeypatch.delitem(sys.modules, "PyTorchUtils")
    host.click(panel.ui.applyButton)
    assert "install the extension PyTorch" in panel.ui.statusLabel.text and panel.runner.run is None


class _Failing:
    """The PyTorch extension where pip fails, or refuses the version."""

    error = None

    def installTorch(self, askConfirmation, torchVersionRequirement):
        raise self.error


@pytest.mark.parametrize("error", [subprocess.CalledProcessError(1, "pip"), ValueError("no such version"), OSError(28)])
def test_an_installation_of_pytorch_that_fails_is_told(host, panel, absent, monkeypatch, error):
    splat.choose_points(panel)
    monkeypatch.setattr(_Failing, "error", error)
    monkeypatch.setattr(sys.modules["PyTorchUtils"], "PyTorchUtilsLogic", _Failing)
    host.click(panel.ui.applyButton)
    assert "PyTorch >=2.6 could not be installed" in panel.ui.statusLabel.text
    assert not panel.busy and panel.ui.applyButton.enabled and len(host.dialogs.shown) == 1


def test_an_older_package_counts_as_missing(host, monkeypatch):
    from DiffRegLib.mrml.panel import packages

    versions = {"torch": "2.5.1+cu124", "numba": "0.61.0rc1", "scipy": "1.9"}
    real = packages.importlib.metadata.version
    monkeypatch.setattr(packages.importlib.metadata, "version", lambda name: versions.get(name) or real(name))
    assert set(packages.missing()) == {packages.TORCH, "scipy>=1.12"}


@pytest.mark.parametrize(("build", "wanted"), [("2.8.0+cu126", "cu12"), ("2.9.1+cu130", "cu13"), ("2.8.0+cpu", "")])
def test_a_pytorch_for_cuda_gets_its_kernels_along_with_what_is_missing(
    host, panel, absent, monkeypatch, build, wanted
):
    """They are no reason to ask, and where they cannot be installed nothing is lost."""
    from DiffRegLib.mrml.panel import packages

    real, install, asked = packages.importlib.metadata.version, packages._install, []
    monkeypatch.setattr(packages.importlib.metadata, "version", lambda name: build if name == "torch" else real(name))

    def fails(requirements, requester):
        asked.extend(requirements)
        if any("cuda" in r for r in requirements):
            raise OSError("no network")
        install(requirements, requester)

    monkeypatch.setattr(packages, "_install", fails)
    packages.ensure("Splat Registration")
    assert [r for r in asked if "cuda" in r] == ([f"numba-cuda[{wanted}]>=0.24"] if wanted else [])
    asked.clear()
    packages.ensure("Splat Registration")
    assert not asked and not absent


def test_without_slicer_packaging_pip_is_called_with_what_must_stay(host, monkeypatch):
    """Slicer 5.10 has no `slicer.packaging`, and its `pip_install` takes the requirements alone."""
    from DiffRegLib.mrml.panel import packages

    calls = []
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "pip_install", lambda requirements: calls.append(requirements))
    packages._install(["numba>=0.61"], "Splat Registration")
    assert calls[0][:2] == ["numba>=0.61", "-c"] and len(calls) == 1


def test_what_the_panel_installs_is_what_the_library_needs(host):
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")

    from DiffRegLib.mrml.panel import packages

    text = (ROOT / "pyproject.toml").read_text()
    needed = set(tomllib.loads(text)["project"]["dependencies"])
    slicers_own = {r for r in needed if r.split(">=")[0] in ("numpy", "SimpleITK", "vtk", "pydicom")}
    command_line_only = {"rich>=13"}
    assert {packages.TORCH, *packages.REQUIREMENTS} == needed - slicers_own - command_line_only


def test_an_installation_never_replaces_what_slicer_brings(host, monkeypatch):
    import slicer.packaging

    from DiffRegLib.mrml.panel import packages

    constraints = []
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda *_: False)
    monkeypatch.setattr(
        slicer.packaging,
        "pip_ensure",
        lambda requirements, constraints=None, **_: constraints_of.append(open(constraints).read()),
    )
    constraints_of = constraints
    packages._install(["numba>=0.61"], "Splat Registration")
    assert {line.split("==")[0] for line in constraints[0].splitlines()} >= {"numpy", "torch", "vtk"}
