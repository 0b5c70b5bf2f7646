"""Refine and Find from scratch with the buttons: what they bring, how they end early, and where the CT is then."""

import json
import os
import signal

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.splat_panel import scene_as_text  # noqa: E402
from Testing.panels.xray_panel import parameters  # noqa: E402

SECONDS = 120.0  # for a worker on a busy machine
BUTTONS = {"refineButton": "Refine", "findButton": "Find from scratch"}
SLIDERS = [f"{name}Slider" for name in xray.NUMBERS]
INPUTS = ("ctSelector", "xray1Selector", "poseSelector", "dicomButton", "presetComboBox", "view_1_distance")


@pytest.fixture
def panel(host):
    return xray.open_panel(host)


@pytest.fixture
def scene(host, panel):
    """One X-ray, the radiograph live, the CT away from the truth."""
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    return scene


def _finish(host, panel):
    host.wait_until(lambda: not panel.registration.running, SECONDS, "the end of the registration")
    host.process(20)


def _take_long(panel):
    """Options with which a refinement goes on until it is ended."""
    chosen = parameters(panel)
    chosen.pose_optimizer, chosen.pose_similarity, chosen.pose_levels = "sgd", "ncc", "96"
    chosen.pose_descent_iterations, chosen.pose_tolerance = 100000, 0.0


def _refining(host, panel, start):
    """Starts a refinement that takes long and waits until it has moved the CT; returns folder and process."""
    _take_long(panel)
    host.click(panel.ui.refineButton)
    run = panel.registration.runner.run
    host.wait_until(
        lambda: np.abs(panel.pose.matrix - start).max() > 0.1 or not panel.registration.running, SECONDS, "a pose"
    )
    assert panel.registration.running, panel.ui.logTextEdit.plainText
    return run.folder, run.process_id


def _ended(host, panel, folder, worker):
    """Nothing of the run is left, and the panel can be used again."""
    assert not panel.registration.running and not folder.exists() and not _alive(worker)
    assert host.dialogs.shown == []
    assert all(getattr(panel.ui, name).enabled for name in (*BUTTONS, *SLIDERS, "pasteLineEdit"))
    assert all(getattr(panel.ui, name).text == text for name, text in BUTTONS.items())
    assert panel.session.hands[0].enabled and not panel.ui.progressBar.isVisible()
    assert not slicer.util.getNodesByClass("vtkMRMLPlotChartNode")


def _alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_refine_moves_the_ct_in_the_views_and_ends_at_the_truth(host, panel, scene, monkeypatch):
    from XRayPoseLib import registration

    monkeypatch.setattr(registration, "SHORTEST_INTERVAL", 0.0)  # a fast computer is done before the next picture
    start, first = panel.pose.matrix, xray.picture("XRay1").copy()
    poses, pictures, points = [], [], []
    host.click(panel.ui.refineButton)
    assert panel.ui.refineButton.text == "Cancel" and not panel.ui.findButton.enabled
    assert not any(getattr(panel.ui, name).isEnabled() for name in (*SLIDERS, *INPUTS, "pasteLineEdit", "undoButton"))
    assert not panel.session.hands[0].enabled and not parameters(panel).pose.GetDisplayNode().GetEditorVisibility()
    while panel.registration.running:
        host.process(5)
        poses.append(panel.pose.matrix)
        points.append(panel.registration.runner.view.points)
        if (shown := xray.picture("XRay1")).shape == first.shape:
            pictures.append(shown.copy())
    host.process(20)
    assert len({p.tobytes() for p in poses}) >= 3 and max(points) >= 3  # the start, one on the way, the end
    assert any(np.abs(p - first).max() > 0.05 for p in pictures)
    assert panel.ui.statusLabel.text == "" and "Finished" in panel.ui.logTextEdit.plainText
    assert xray.corner_error(panel.pose.matrix, scene.truth) < 0.5 < xray.corner_error(start, scene.truth)
    assert np.allclose(xray.numbers(panel), xray.TRUTH, atol=0.1)
    assert all(getattr(panel.ui, name).isEnabled() for name in (*SLIDERS, *INPUTS)) and panel.session.hands[0].enabled
    assert parameters(panel).pose.GetDisplayNode().GetEditorVisibility()
    _check_radiograph(panel, scene)
    _check_measures(panel, start, scene.truth)
    losses = slicer.util.arrayFromTableColumn(parameters(panel).loss.GetNthPlotSeriesNode(0).GetTableNode(), "Loss")
    first = losses[: np.argmax(np.isnan([*losses, np.nan]))]  # of the descents: all steps, whatever progress told
    assert len(first) >= 3 and first[0] == 1 and first.min() == 0
    host.click(panel.ui.undoButton)
    assert np.array_equal(panel.pose.matrix, start)
    xray.rest(host, panel)
    host.click(panel.ui.redoButton)
    assert xray.corner_error(panel.pose.matrix, scene.truth) < 0.5


def _check_radiograph(panel, scene):
    """The volume node of the result is the library's projection and lies on the detector."""
    import torch

    node = parameters(panel).drr_1
    values, expected = slicer.util.arrayFromVolume(node)[0], scene.drr(panel.pose.matrix)
    assert values.shape == expected.shape and np.abs(values - expected).max() < 2e-3 * expected.max()
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    node.GetIJKToRASMatrix(matrix)
    affine = slicer.util.arrayFromVTKMatrix(matrix)
    for pixel in ((0, 0), (95, 0), (10, 79)):
        on_detector = scene.cameras[0].detector_points(torch.tensor([pixel], dtype=torch.float64))[0].numpy()
        assert np.allclose((affine @ [*pixel, 0, 1])[:3], on_detector, atol=1e-3)


def _check_measures(panel, start, truth):
    """The numbers are those of the pose, and every one is shown."""
    facts, text = json.loads(parameters(panel).measures), panel.ui.measuresLabel.text
    assert np.allclose(facts["end"]["matrix"], panel.pose.matrix) and facts["verdict"] in text
    between = truth @ np.linalg.inv(start)
    degrees = np.degrees(np.arccos((np.trace(between[:3, :3]) - 1) / 2))
    assert facts["change"]["degrees"] == pytest.approx(degrees, abs=0.1)
    assert facts["change"]["mm"] == pytest.approx(np.linalg.norm(xray.TRUTH[3:]), abs=0.3)
    sure = facts["uncertainty"]
    assert all(0 <= value < 0.5 for value in (*sure["shift_mm"], sure["depth_mm"], *sure["rotation_degrees"]))
    for title in ("Verdict", "Pose", "Moved by", "Uncertainty", "in the image", "in depth", "of the turn", "Run time"):
        assert f"{title}:" in text
    assert f"{facts['change']['degrees']:.2f} °, {facts['change']['mm']:.2f} mm" in text


def _away(truth, degrees, mm):
    """A pose turned by `degrees` and shifted by `mm` from the truth, (4,4)."""
    import torch

    from DiffRegLib.transforms import rigid

    turn, shift = np.array([2.0, -1.0, 2.0]) / 3, np.array([1.0, 2.0, -2.0]) / 3
    axis = [torch.tensor(v, dtype=torch.float64) for v in (turn * degrees, shift * mm, xray.CENTER)]
    return rigid(*axis).matrix.numpy() @ truth


def test_find_from_scratch_finds_a_pose_that_is_far_away(host, panel, scene):
    start = _away(scene.truth, 15.0, 20.0)
    panel.pose.move(start)
    xray.rest(host, panel)
    parameters(panel).pose_starts, parameters(panel).pose_levels = 200, "64"
    host.click(panel.ui.findButton)
    assert panel.ui.findButton.text == "Cancel" and not panel.ui.refineButton.enabled
    _finish(host, panel)
    assert panel.ui.statusLabel.text == ""
    assert xray.corner_error(panel.pose.matrix, scene.truth) < 0.5 and xray.corner_error(start, scene.truth) > 20
    host.click(panel.ui.undoButton)
    assert np.allclose(panel.pose.matrix, start)


def test_canceled_in_the_middle_the_best_pose_so_far_can_be_kept(host, panel, scene):
    start = panel.pose.matrix
    folder, worker = _refining(host, panel, start)
    host.click(panel.ui.refineButton)
    _ended(host, panel, folder, worker)
    assert panel.ui.questionFrame.isVisible() and panel.ui.keepButton.isVisible() and panel.ui.backButton.isVisible()
    best = panel.pose.matrix
    host.click(panel.ui.keepButton)
    assert np.array_equal(panel.pose.matrix, best) and np.abs(best - start).max() > 0.1
    assert not panel.ui.questionFrame.isVisible()
    host.click(panel.ui.undoButton)
    assert np.array_equal(panel.pose.matrix, start)


def test_canceled_in_the_middle_the_ct_can_go_back(host, panel, scene, monkeypatch):
    # a slow frame would pass the bones in 3D on to the processor, in other nodes
    monkeypatch.setattr("DiffRegLib.mrml.xray.bones.SLOW", float("inf"))
    panel.pose.move(_away(scene.truth, 3.0, 5.0))
    xray.rest(host, panel)
    start, before = panel.pose.matrix, scene_as_text()
    folder, worker = _refining(host, panel, start)
    host.click(panel.ui.refineButton)
    xray.rest(host, panel)  # the pictures of the best pose, before the answer
    host.click(panel.ui.backButton)
    _ended(host, panel, folder, worker)
    assert np.array_equal(panel.pose.matrix, start) and not panel.ui.questionFrame.isVisible()
    parameters(panel).pose_optimizer, parameters(panel).pose_similarity = "gauss-newton", "auto"
    for name in ("levels", "descent_iterations", "tolerance"):
        _default(panel, name)
    xray.rest(host, panel)
    assert scene_as_text() == before


def _default(panel, name):
    from DiffRegLib.methods.projective.options import PoseOptions
    from DiffRegLib.mrml.panel.option_parameters import to_parameter
    from DiffRegLib.options import option_fields

    field = next(f for f in option_fields(PoseOptions) if f.name == name)
    parameters(panel).setValue(f"pose_{name}", to_parameter(field, field.default))


def test_canceled_before_the_first_pose_the_ct_is_where_it_was_at_once(host, panel):
    xray.choose(panel)
    before = scene_as_text()
    host.click(panel.ui.refineButton)
    folder = panel.registration.runner.run.folder
    host.wait_until(lambda: panel.registration.runner.run.process_id > 0, SECONDS, "the worker")
    worker = panel.registration.runner.run.process_id
    host.click(panel.ui.refineButton)
    assert not panel.registration.running and not folder.exists() and not _alive(worker)
    assert not panel.ui.questionFrame.isVisible() and host.dialogs.shown == []
    assert "the CT is where it was" in panel.ui.logTextEdit.plainText
    assert scene_as_text() == before


def test_after_a_worker_was_killed_the_ct_is_where_it_was_and_refine_works_again(host, panel, scene):
    start = panel.pose.matrix
    folder, worker = _refining(host, panel, start)
    os.kill(worker, signal.SIGKILL)
    _finish(host, panel)
    _ended(host, panel, folder, worker)
    assert panel.ui.statusLabel.text.startswith("The registration was ended from outside")
    assert "ended from outside" in panel.ui.logTextEdit.plainText and not panel.ui.questionFrame.isVisible()
    assert np.array_equal(panel.pose.matrix, start)
    for name in ("optimizer", "similarity", "descent_iterations", "tolerance"):
        _default(panel, name)
    host.click(panel.ui.refineButton)
    assert panel.ui.statusLabel.text == ""
    _finish(host, panel)
    assert xray.corner_error(panel.pose.matrix, scene.truth) < 0.5


def test_a_pose_that_is_deleted_while_the_worker_runs(host, panel, scene):
    host.click(panel.ui.liveButton)
    host.click(panel.ui.refineButton)
    host.wait_until(lambda: panel.registration.runner.run.process_id > 0, SECONDS, "the worker")
    slicer.mrmlScene.RemoveNode(parameters(panel).pose)
    _finish(host, panel)
    assert panel.ui.statusLabel.text == "The pose has been taken out of the scene: start again."
    assert parameters(panel).drr_1 is None and parameters(panel).measures == ""
    assert scene.ct.GetParentTransformNode() is None and panel.ui.refineButton.enabled


def test_two_xrays_have_two_views_and_one_pose(host, panel):
    scene = xray.choose(panel, [xray.options(), xray.options(primary_angle=90.0)], size=(64, 72))
    xray.go_live(host, panel)
    for view, name in enumerate(("XRay1", "XRay2")):
        assert host.view(name).isVisible()
        expected = scene.drr(np.eye(4), view)
        assert np.corrcoef(xray.picture(name).ravel(), expected.ravel())[0, 1] > 0.99
    host.click(panel.ui.refineButton)
    _finish(host, panel)
    assert panel.ui.statusLabel.text == ""
    assert xray.corner_error(panel.pose.matrix, scene.truth) < 0.5
    chosen = parameters(panel)
    for view, node in enumerate((chosen.drr_1, chosen.drr_2)):
        expected = scene.drr(panel.pose.matrix, view)
        assert np.abs(slicer.util.arrayFromVolume(node)[0] - expected).max() < 2e-3 * expected.max()
    assert "X-ray 2" in panel.ui.measuresLabel.text


CONTRADICTIONS = {
    "the same place twice": ({}, ("have the same geometry", "give each its own")),
    "a beam that passes the CT": ({"primary_angle": 90.0, "isocenter": (12.0, -20.0, 900.0)}, ("CT",)),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_two_xrays_that_contradict_each_other_get_a_sentence(host, panel, what):
    second, words = CONTRADICTIONS[what]
    scene = xray.choose(panel, [xray.options(), xray.options(primary_angle=90.0)], size=(64, 72))
    _write(panel, 2, xray.options(**second))
    before = scene_as_text()
    host.click(panel.ui.refineButton)
    _finish(host, panel)
    said = panel.ui.statusLabel.text
    assert all(word in said for word in (*words, scene.xrays[1].GetName())), said
    assert scene_as_text() == before and panel.ui.refineButton.enabled


def _write(panel, number, options):
    from XRayPoseLib import carm

    carm.write(parameters(panel), number, options)
