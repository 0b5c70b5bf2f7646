"""Registrations from the panel: what they bring, how they end early, and that the scene is then as it was."""

import json
import os
import shutil
import signal

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.panels import splat_panel as splat  # noqa: E402
from Testing.panels.splat_panel import parameters  # noqa: E402

MOST_MS = 100.0  # a longer gap in the event loop is felt as a frozen window


@pytest.fixture
def panel(host):
    return splat.open_panel(host)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The scene of a finished registration; the first test that needs it makes it."""
    return tmp_path_factory.mktemp("splat") / "registered.mrb"


@pytest.fixture
def pair(host, panel, saved):
    """The two inputs of a registration that is finished; the panel shows its result."""
    if saved.exists():
        host.load_scene(saved)
    else:
        splat.choose_points(panel)
        splat.run(host, panel)
        host.save_scene(saved)
    host.process(100)
    return parameters(panel).fixed, parameters(panel).moving


def test_a_shifted_cloud_comes_back_while_the_window_stays_alive(host, panel):
    fixed, moving = splat.choose_points(panel)
    parameters(panel).fixed_landmarks, parameters(panel).moving_landmarks = (
        splat.points_node(name, splat.cloud(30, seed=1) + shift) for name, shift in (("L", 0), ("M", splat.SHIFT))
    )
    host.process(100)
    with host.measure_gaps() as gaps:
        host.click(panel.ui.applyButton)
        assert panel.ui.applyButton.text == "Cancel" and panel.ui.progressBar.isVisible()
        splat.working(host, panel)
        assert "left" in panel.ui.progressBar.format or "%" in panel.ui.progressBar.format
        result = panel.runner.run.folder / "result"
        host.wait_until(lambda: result.is_dir() or not panel.runner.running, splat.SECONDS, "the end of the worker")
    assert gaps.longest_ms < MOST_MS
    splat.finish(host, panel)
    chosen = parameters(panel)
    assert splat.error_mm(fixed, chosen.output_warped) < 1.0
    assert panel.ui.statusLabel.text == "" and panel.ui.applyButton.text == "Apply"
    assert (
        chosen.loss.GetNthPlotSeriesNode(0).GetTableNode().GetNumberOfRows() >= 2
    )  # lines of progress are thinned by time
    before, after = (json.loads(chosen.measures)["landmarks"][key]["mean"] for key in ("before_mm", "after_mm"))
    assert before == pytest.approx(np.linalg.norm(splat.SHIFT), abs=0.01) and after < 1.5
    for title in ("Error of 30 landmarks", "Folded voxels", "Run time"):
        assert title in panel.ui.measuresLabel.text


def test_the_transform_brings_the_moving_input_onto_the_fixed_one_and_its_inverse_back(panel, pair):
    fixed, moving = pair
    moving.SetAndObserveTransformNodeID(parameters(panel).output_transform.GetID())
    assert splat.error_mm(fixed, moving) < 1.0
    moving.SetAndObserveTransformNodeID(None)
    fixed.SetAndObserveTransformNodeID(parameters(panel).output_inverse.GetID())
    assert splat.error_mm(fixed, moving) < 1.0


def _cancel(host, panel):
    host.click(panel.ui.applyButton)


def _close_module(host, panel):
    host.close_module("SplatRegistration")


def _kill(host, panel):
    os.kill(panel.runner.run.process_id, signal.SIGKILL)
    splat.finish(host, panel)


def _lose_folder(host, panel):
    shutil.rmtree(panel.runner.run.folder)
    splat.finish(host, panel)


ENDS = {
    "cancel": (_cancel, "Canceled", ""),
    "kill": (_kill, "ended from outside", "The registration was ended from outside"),
    "lose the folder": (_lose_folder, "disappeared", "has disappeared"),
}


@pytest.mark.parametrize("way", ENDS)
def test_a_run_that_ends_early_leaves_the_scene_as_it_was(host, panel, way):
    end, in_log, in_panel = ENDS[way]
    splat.choose_points(panel)
    before = splat.scene_as_text()
    host.click(panel.ui.applyButton)
    splat.working(host, panel)
    folder = panel.runner.run.folder
    end(host, panel)
    assert panel.runner.run is None and not folder.exists()
    assert splat.scene_as_text() == before
    assert in_log in panel.ui.logTextEdit.plainText and in_panel in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled and panel.ui.applyButton.text == "Apply"
    assert not panel.ui.progressBar.isVisible()


def test_canceling_before_the_worker_has_started_leaves_the_scene_as_it_was(host, panel):
    splat.choose_points(panel)
    before = splat.scene_as_text()
    panel.ui.applyButton.click()
    panel.ui.applyButton.click()
    assert panel.runner.run is None and splat.scene_as_text() == before


def test_closing_the_scene_ends_the_worker(host, panel):
    splat.choose_points(panel)
    host.click(panel.ui.applyButton)
    splat.working(host, panel)
    folder, worker = panel.runner.run.folder, panel.runner.run.process_id
    host.close_scene()
    assert panel.runner.run is None and not folder.exists() and not _alive(worker)
    assert parameters(panel).fixed is None and panel.ui.applyButton.text == "Select a fixed input"
    assert not slicer.util.getNodesByClass("vtkMRMLPlotChartNode")


def test_closing_the_module_ends_the_worker(host, panel):
    splat.choose_points(panel)
    host.click(panel.ui.applyButton)
    splat.working(host, panel)
    worker = panel.runner.run.process_id
    host.close_module("SplatRegistration")
    assert not _alive(worker)


def _alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_second_run_takes_the_place_of_the_first(host, panel, pair):
    fixed, moving = pair
    nodes = {name: parameters(panel).getValue(name).GetID() for name in ("output_transform", "output_warped")}
    slicer.util.updateMarkupsControlPointsFromArray(moving, splat.cloud() - splat.SHIFT)
    before = splat.node_names()
    splat.run(host, panel)
    assert {name: parameters(panel).getValue(name).GetID() for name in nodes} == nodes
    assert splat.error_mm(fixed, parameters(panel).output_warped) < 1.0
    assert sorted(splat.node_names()) == sorted(before)


def test_a_canceled_second_run_keeps_the_result_of_the_first(host, panel, pair):
    before, chart = splat.scene_as_text(), parameters(panel).loss
    host.click(panel.ui.applyButton)
    splat.working(host, panel)
    host.click(panel.ui.applyButton)
    assert splat.scene_as_text() == before and parameters(panel).loss is chart


def test_a_saved_scene_comes_back_with_the_whole_panel(host, panel, pair, tmp_path):
    from DiffRegLib.mrml.pair.parameters import Display

    chosen = parameters(panel)
    chosen.preset, chosen.splatting_seed = type(chosen.preset)["organ-surfaces"], 5
    chosen.overlay_opacity = 0.25
    chosen.display, chosen.show_grid = Display.BEFORE, False
    settings = _settings(panel)
    words = panel.ui.measuresLabel.text
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    assert panel.ui.measuresLabel.text != words
    host.load_scene(tmp_path / "scene.mrb")
    assert _settings(panel) == settings
    assert panel.ui.measuresLabel.text == words and panel.ui.flickerButton.enabled
    assert panel.ui.fixedSelector.currentNode().GetName() == "Fixed cloud"
    assert panel.ui.splatting_seed.value == 5 and not panel.ui.gridCheckBox.checked


def _settings(panel):
    """Every parameter, nodes by their names."""
    values = {name: parameters(panel).getValue(name) for name in parameters(panel).allParameters}
    return {name: value.GetName() if hasattr(value, "GetID") else value for name, value in values.items()}


@pytest.mark.parametrize("kind", ["model", "labels", "segmentation"])
def test_other_kinds_of_input_give_their_own_kind_back(host, panel, kind):
    fixed, moving = (_organ(kind, name, center) for name, center in (("F", (0, 0, 0)), ("M", (8, 0, 0))))
    splat.choose(panel, fixed, moving)
    splat.run(host, panel)
    warped = parameters(panel).output_warped
    assert warped is not None, panel.ui.statusLabel.text
    assert warped.GetClassName() == moving.GetClassName()
    assert abs(_center(warped)[0] - _center(fixed)[0]) < 2.0 < abs(_center(moving)[0] - _center(fixed)[0])


def _organ(kind, name, center):
    if kind == "model":
        return splat.model_node(name, center)
    labels = splat.labels_node(name, center)
    if kind == "labels":
        return labels
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation.CreateDefaultDisplayNodes()
    logic = slicer.modules.segmentations.logic()
    logic.ImportLabelmapToSegmentationNode(labels, segmentation)
    return segmentation


def _center(node):
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        k, j, i = np.nonzero(slicer.util.arrayFromVolume(node))
        spacing, origin = node.GetSpacing(), node.GetOrigin()
        return np.array([i.mean(), j.mean(), k.mean()]) * spacing + origin
    bounds = np.zeros(6)
    if node.IsA("vtkMRMLSegmentationNode"):
        return np.array(node.GetSegmentCenterRAS(node.GetSegmentation().GetNthSegmentID(0)))
    node.GetRASBounds(bounds)
    return (bounds[::2] + bounds[1::2]) / 2
