"""A module in the host: work in another process, packages, files, the photograph, the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from Testing.modules import ROOT
from Testing.patience import patient

DEMO = Path(__file__).parent / "modules/HostDemo/HostDemo.py"


@pytest.fixture
def slicer(host):
    import slicer

    return slicer


@pytest.fixture
def volume(slicer):
    return slicer.util.addVolumeFromArray(np.random.default_rng(0).normal(size=(9, 10, 11)), name="CT")


def test_a_process_reports_while_the_window_stays_alive(host, volume):
    panel = host.open_module(DEMO)
    assert panel.ui.applyButton.toolTip == "Select a fixed node"
    host.choose(panel.ui.fixedSelector, "CT")
    with host.measure_gaps() as gaps:
        host.click(panel.ui.applyButton)
        assert panel.ui.applyButton.text == "Cancel"
        host.wait_until(lambda: panel.process is None, what="the end of the process")
    assert panel.ui.logText.plainText.split() == ["0", "20", "40", "60", "80", "100"]
    assert panel.ui.progressBar.value == 100 and panel.ui.applyButton.text == "Apply"
    assert gaps.longest_ms < 100


def test_the_gap_meter_sees_a_frozen_window(host):
    import time

    import qt

    qt.QTimer.singleShot(10, lambda: time.sleep(0.15))
    with host.measure_gaps() as gaps:
        host.process(250)
    assert 100 < gaps.longest_ms < 220


def test_an_error_is_shown_and_the_panel_goes_on(host, volume):
    panel = host.open_module(DEMO)
    panel._parameterNode.fixed, panel._parameterNode.device = volume, "cuda"
    host.click(panel.ui.applyButton)
    assert [shown.kind for shown in host.dialogs.shown] == ["critical"]
    assert "there is no GPU; select the device cpu" in host.dialogs.shown[0].text
    assert "ValueError" in host.errors.pop()  # tryWithErrorDisplay raises it again
    assert panel.ui.applyButton.enabled


def test_packages_are_asked_for_and_pip_is_only_written_down(host, slicer):
    import slicer.packaging as packaging

    packaging.pip_ensure("numpy")
    assert host.dialogs.shown == [] and host.pip_calls == []
    packaging.pip_ensure("surely-not-installed>=2", requester="HostDemo")
    assert [shown.kind for shown in host.dialogs.shown] == ["question"]
    assert host.pip_calls == ["install surely-not-installed>=2"]
    host.dialogs.answers.append(__import__("qt").QMessageBox.Cancel)
    with pytest.raises(RuntimeError, match="declined"):
        packaging.pip_ensure("surely-not-installed")
    host.fail_pip()
    with pytest.raises(subprocess.CalledProcessError):
        slicer.util.pip_install("surely-not-installed")
    assert host.dialogs.shown[-1].kind == "critical"


def test_modules_know_each_other(host, slicer):
    panel = host.open_module(DEMO)
    assert slicer.modules.hostdemo.widgetRepresentation().self() is panel
    assert slicer.util.getModuleLogic("HostDemo") is panel.logic
    assert slicer.util.getModuleLogic("Volumes").IsA("vtkSlicerVolumesLogic")
    assert slicer.util.modulePath("HostDemo") == str(DEMO) and panel.resourcePath("UI/HostDemo.ui").endswith(".ui")
    assert slicer.util.selectedModule() == "HostDemo" and slicer.modules.hostdemo.title == "Host Demo"
    slicer.selfTests["HostDemo"](msec=0)
    host.close_module("HostDemo")
    assert not hasattr(slicer.modules, "hostdemo") and slicer.util.selectedModule() == ""


def test_settings_and_temporary_folders_are_the_hosts_own(host, slicer):
    slicer.app.settings().setValue("DiffReg/Device", "cpu")
    assert slicer.util.settingsValue("DiffReg/Device", "auto") == "cpu"
    folder = Path(slicer.util.tempDirectory())
    assert folder.is_dir() and folder.is_relative_to(slicer.app.temporaryPath)
    assert slicer.app.settings().fileName().startswith(slicer.app.temporaryPath)


def test_files_go_through_slicers_storage_nodes(slicer, volume, tmp_path):
    to_ras = np.array([[0.9, -0.2, 0.1, 5], [0.3, 1.1, 0, -7], [0, 0.1, 2, 11], [0, 0, 0, 1.0]])
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(to_ras))
    assert slicer.util.saveNode(volume, str(tmp_path / "ct.nrrd"), {})
    loaded = slicer.util.loadVolume(tmp_path / "ct.nrrd", {"show": False})
    assert np.array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(volume))
    matrix = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(slicer, loaded))
    assert matrix == pytest.approx(slicer.util.arrayFromVTKMatrix(_ijk_to_ras(slicer, volume)), abs=1e-6)
    labels = slicer.util.loadLabelVolume(tmp_path / "ct.nrrd", {})
    assert labels.IsA("vtkMRMLLabelMapVolumeNode")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(transform, to_ras)
    assert slicer.util.saveNode(transform, str(tmp_path / "t.h5"), {})
    again = slicer.util.loadTransform(tmp_path / "t.h5")
    assert slicer.util.arrayFromTransformMatrix(again) == pytest.approx(to_ras, abs=1e-9)
    with pytest.raises(RuntimeError, match="Failed to load"):
        slicer.util.loadVolume(tmp_path / "absent.nrrd", {})


def test_points_surfaces_and_segmentations_survive_their_files(slicer, tmp_path):
    import vtk

    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
    points.AddControlPoint([1.5, -2.5, 3.5])
    assert slicer.util.saveNode(points, str(tmp_path / "landmarks.mrk.json"), {})
    loaded = slicer.util.loadMarkups(str(tmp_path / "landmarks.mrk.json"))
    assert slicer.util.arrayFromMarkupsControlPoints(loaded) == pytest.approx(np.array([[1.5, -2.5, 3.5]]))
    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(10, 20, 30)
    sphere.Update()
    model = slicer.modules.models.logic().AddModel(sphere.GetOutput())
    assert slicer.util.saveNode(model, str(tmp_path / "sphere.vtp"), {})
    surface = slicer.util.loadModel(tmp_path / "sphere.vtp").GetPolyData()
    assert surface.GetCenter() == pytest.approx((10, 20, 30), abs=0.1)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    segmentation.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "liver", [1, 0, 0])
    segmentation.CreateBinaryLabelmapRepresentation()
    segmentation.SetSourceRepresentationToBinaryLabelmap()
    assert slicer.util.saveNode(segmentation, str(tmp_path / "organs.seg.nrrd"), {})
    organs = slicer.util.loadSegmentation(tmp_path / "organs.seg.nrrd")
    assert organs.GetSegmentation().GetNthSegment(0).GetName() == "liver"


def test_the_photograph_shows_panel_and_views(host, slicer, volume, tmp_path):
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    host.open_module(DEMO)
    host.screenshot(tmp_path / "window.png")
    import qt

    picture = qt.QImage(str(tmp_path / "window.png"))
    assert (picture.width(), picture.height()) == (1400, 900)
    for name, expected in (("Red", (243, 74, 51)), ("Yellow", (237, 213, 76)), ("Green", (110, 176, 75))):
        color = picture.pixelColor(host.view(name).mapTo(host.window, qt.QPoint(3, -10)))
        assert (color.red(), color.green(), color.blue()) == expected
    button = picture.pixelColor(host.view("Red").mapTo(host.window, qt.QPoint(-40, 200)))
    assert button.lightness() > 150  # the panel is beside it, on a light ground


@pytest.mark.parametrize("scene", [True, False])
def test_the_command_line_photographs_a_module(slicer, volume, tmp_path, scene):
    slicer.util.saveScene(str(tmp_path / "scene.mrb"), {})
    arguments = [DEMO.parent, *([tmp_path / "scene.mrb"] if scene else []), "--screenshot", tmp_path / "shot.png"]
    command = [sys.executable, "-m", "Testing.host", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patient(120))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shot.png").stat().st_size > 20_000


@pytest.mark.skipif(sys.platform != "linux", reason="EGL and X are Linux's")
def test_without_opengl_the_host_says_what_to_install():
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkXOpenGLRenderWindow"  # which needs a screen
    command = [sys.executable, "-m", "Testing.host", str(DEMO), "--screenshot", "x.png"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=patient(120))
    assert done.returncode == 1 and "no usable OpenGL; on Linux install libegl1" in done.stderr


def test_the_command_line_says_what_it_lacks(slicer, tmp_path):
    command = [sys.executable, "-m", "Testing.host", str(tmp_path / "Nothing.py"), "--screenshot", "x.png"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patient(120))
    assert done.returncode == 1 and "There is no file" in done.stderr


def _ijk_to_ras(slicer, node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix
