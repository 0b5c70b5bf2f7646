"""The scene of X-ray Pose: saved and loaded with everything, closed and reloaded at any moment, used by scripts."""

import os
import xml.etree.ElementTree as ElementTree
import zipfile

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from Testing.modules import ROOT  # noqa: E402
from Testing.panels import review_panel  # noqa: E402
from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.xray_panel import parameters  # noqa: E402

SECONDS = 120.0  # for a worker on a busy machine


@pytest.fixture
def panel(host):
    return xray.open_panel(host)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The scene of a finished registration with the radiograph live; the first test that needs it makes it."""
    return tmp_path_factory.mktemp("xray") / "registered.mrb"


@pytest.fixture
def registered(host, panel, saved):
    """The panel with the result of a registration that ended well."""
    if saved.exists():
        host.load_scene(saved)
    else:
        xray.choose(panel)
        xray.go_live(host, panel)
        host.click(panel.ui.refineButton)
        host.wait_until(lambda: not panel.registration.running, SECONDS, "the end of the registration")
        assert parameters(panel).drr_1 is not None, panel.ui.statusLabel.text
        host.save_scene(saved)
    xray.rest(host, panel)


def _settings(panel):
    """Every parameter, nodes by their names."""
    values = {name: parameters(panel).getValue(name) for name in parameters(panel).allParameters}
    return {name: value.GetName() if hasattr(value, "GetID") else value for name, value in values.items()}


def _rows(chart):
    return slicer.util.arrayFromTableColumn(chart.GetNthPlotSeriesNode(0).GetTableNode(), "Loss")


def _change_everything(panel):
    """Every setting that is no node stands elsewhere than at its default."""
    from XRayPoseLib.parameters import Over

    chosen = parameters(panel)
    chosen.over, chosen.over_opacity, chosen.show_volume, chosen.show_beam = Over.CONTOURS, 0.25, False, False
    chosen.show_handles, chosen.drag = False, False
    chosen.pose_seed, chosen.pose_similarity, chosen.pose_levels = 5, "local-ncc", "32 64"
    chosen.imaging_water, chosen.view_1_image_angle, chosen.view_1_principal_column = 0.019, 3.0, "40.5"


def test_a_saved_scene_comes_back_with_the_whole_panel(host, panel, registered, tmp_path):
    _change_everything(panel)
    xray.rest(host, panel)
    settings, words, loss = _settings(panel), panel.ui.measuresLabel.text, _rows(parameters(panel).loss)
    drr, shown = slicer.util.arrayFromVolume(parameters(panel).drr_1), xray.picture("XRay1").copy()
    pose, numbers = panel.pose.matrix, xray.numbers(panel)
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    assert panel.ui.measuresLabel.text != words and not panel.session.running and parameters(panel).ct is None
    host.load_scene(tmp_path / "scene.mrb")
    assert panel.session.running and panel.ui.liveButton.checked, "the radiograph was live and is live again"
    xray.rest(host, panel)
    assert _settings(panel) == settings and panel.ui.measuresLabel.text == words
    assert np.allclose(_rows(parameters(panel).loss), loss, rtol=1e-4, equal_nan=True) and len(loss) > 2
    assert np.allclose(panel.pose.matrix, pose) and np.allclose(xray.numbers(panel), numbers, atol=1e-3)
    assert np.allclose(slicer.util.arrayFromVolume(parameters(panel).drr_1), drr)
    assert np.abs(xray.picture("XRay1").astype(float) - shown).max() < 0.01 * max(1.0, np.abs(shown).max())
    assert parameters(panel).ct.GetParentTransformNode() is parameters(panel).pose
    assert panel.ui.view_1_principal_column.text == "40.5" and panel.ui.opacitySlider.value == 0.25
    assert not panel.ui.dragCheckBox.checked and not panel.session.hands[0].enabled
    assert panel.registration.runner.view.loss_view.widget.mrmlPlotViewNode().GetPlotChartNodeID()
    assert host.view("XRay1").isVisible()
    host.click(panel.ui.liveButton)
    assert host.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def _names_in(path):
    """The names of all nodes in a saved scene."""
    with zipfile.ZipFile(path) as bundle:
        scene = next(name for name in bundle.namelist() if name.endswith(".mrml"))
        return [node.get("name") for node in ElementTree.fromstring(bundle.read(scene))]


def test_what_is_made_again_is_not_saved(host, panel, registered, tmp_path):
    helpers = [
        node.GetName()
        for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode")
        if node.GetHideFromEditors() and "block" in node.GetName()
    ]
    assert {"X-ray 1 of a block on its detector", "CT over X-ray 1 of a block", "X-ray 1 of a block beam"} <= set(
        helpers
    )
    host.save_scene(tmp_path / "scene.mrb")
    names = _names_in(tmp_path / "scene.mrb")
    assert not set(helpers) & set(names) and "Pose of CT of a block" in names and "DRR for X-ray 1 of a block" in names
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        assert not [name for name in bundle.namelist() if "detector" in name or "over X-ray" in name]


def _names():
    """Class and name of every node but those of the volume rendering, whose kind depends on how fast it is."""
    parts = ("Rendering", "VolumeProperty", "ROI")
    return [name for name in xray.node_names() if not any(part in name for part in parts)]


def test_loaded_twice_there_is_one_of_everything(host, panel, registered, saved):
    host.load_scene(saved)
    xray.rest(host, panel)
    before = _names()
    host.load_scene(saved)
    xray.rest(host, panel)
    assert panel.session.running and _names() == before


def test_a_second_refinement_takes_the_place_of_the_first(host, panel, registered):
    nodes, before = (parameters(panel).drr_1.GetID(), parameters(panel).pose.GetID()), _names()
    truth = panel.pose.matrix
    moved = truth.copy()
    moved[:3, 3] += (5.0, -4.0, 6.0)
    panel.pose.move(moved)
    xray.rest(host, panel)
    host.click(panel.ui.refineButton)
    host.wait_until(lambda: not panel.registration.running, SECONDS, "the end of the registration")
    xray.rest(host, panel)
    assert (parameters(panel).drr_1.GetID(), parameters(panel).pose.GetID()) == nodes
    assert xray.corner_error(panel.pose.matrix, truth) < 0.5 and _names() == before


def test_the_result_is_reviewed(host, panel, registered):
    """In the review: pictures of the X-ray with contours of the CT, from the scene as it is."""
    review = review_panel.open_panel(host)
    slicer.util.selectModule("XRayPose")
    host.process(50)
    host.click(panel.ui.reviewButton)
    assert slicer.util.selectedModule() == "RegistrationReview" and review.ui.applyButton.text == "Review the pose"
    before = host.app.layoutManager().layout
    review_panel.review(host, review)
    assert review.ui.statusLabel.text == ""
    assert "verdict: converged" in review.ui.numbersTable.item(0, 1).text()
    for key, blue in (("before", True), ("after", False)):
        red, _green, last = np.moveaxis(host.pixels(f"DiffRegPose1{key}").astype(int), -1, 0)
        assert (np.abs(last - red) > 100).sum() > 30 and ((last - red > 100).any() == blue), key
    assert (np.ptp(host.pixels("DiffRegPose1uncertainty").astype(int), -1) > 100).any()
    assert not review.ui.compareComboBox.enabled and review.ui.reportButton.enabled
    slicer.util.selectModule("XRayPose")
    host.process(50)
    assert host.app.layoutManager().layout == before


def _running(host, panel):
    """Starts a refinement that takes long and waits until it has moved the CT; returns folder and process."""
    chosen = parameters(panel)
    chosen.pose_optimizer, chosen.pose_similarity, chosen.pose_levels = "sgd", "ncc", "96"
    chosen.pose_descent_iterations, chosen.pose_tolerance = 100000, 0.0
    host.click(panel.ui.refineButton)
    run, start = panel.registration.runner.run, panel.pose.matrix
    host.wait_until(lambda: np.abs(panel.pose.matrix - start).max() > 0.01, SECONDS, "a pose")
    return run.folder, run.process_id


def _gone(folder, worker):
    try:
        os.kill(worker, 0)
    except ProcessLookupError:
        return not folder.exists()
    return False


@pytest.mark.parametrize("question", [False, True], ids=["while it runs", "while the question is open"])
def test_the_scene_is_closed(host, panel, question):
    xray.choose(panel)
    xray.go_live(host, panel)
    folder, worker = _running(host, panel)
    if question:
        host.click(panel.ui.refineButton)
        assert panel.ui.questionFrame.isVisible()
    host.close_scene()
    assert _gone(folder, worker) and not panel.registration.running and not panel.ui.questionFrame.isVisible()
    assert not panel.session.running and panel.ui.statusLabel.text == "Select a CT"
    assert panel.ui.refineButton.text == "Refine" and not panel.ui.progressBar.isVisible()
    left = [name for name in xray.node_names() if not name.startswith("vtkMRMLPlotViewNode")]  # of other layouts
    assert not [name for name in left if "block" in name or "Plot" in name.split()[0] or "Loss" in name]
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    assert np.abs(xray.picture("XRay1") - scene.drr(np.eye(4))).max() < 1e-3


def test_a_scene_that_is_loaded_while_a_registration_runs_ends_it(host, panel, registered, saved):
    panel.pose.move(np.eye(4))
    folder, worker = _running(host, panel)
    host.load_scene(saved)
    assert _gone(folder, worker) and not panel.registration.running
    xray.rest(host, panel)
    assert panel.session.running and parameters(panel).drr_1 is not None


def _leave(host):
    """Another module's panel takes the place of this one."""
    host.open_module(ROOT / "Testing/panels/modules/HostDemo/HostDemo.py")


def test_the_module_is_left_while_a_registration_runs_and_closed(host, panel):
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    folder, worker = _running(host, panel)
    _leave(host)
    host.process(50)
    first = panel.pose.matrix
    host.wait_until(lambda: not np.array_equal(panel.pose.matrix, first), SECONDS, "another pose")
    host.close_module("XRayPose")
    assert _gone(folder, worker)
    assert not [name for name in xray.node_names() if name.endswith(("beam", "detector"))]
    assert scene.ct.GetScene() is not None


def test_left_and_entered_again_the_panel_goes_on(host, panel):
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    _leave(host)
    host.process(50)
    assert panel.session.running, "the radiograph stays useful beside other modules"
    panel.pose.node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(scene.truth))
    xray.rest(host, panel)
    assert np.abs(xray.picture("XRay1") - slicer.util.arrayFromVolume(scene.xrays[0])[0]).max() < 1e-3
    slicer.util.selectModule("XRayPose")
    host.process(50)
    assert panel.session.running and np.allclose(xray.numbers(panel), xray.TRUTH, atol=0.01)
    host.click(panel.ui.undoButton)
    assert np.allclose(panel.pose.matrix, np.eye(4))


def test_a_reloaded_module_takes_over_the_scene(host, panel, registered):
    words, settings = panel.ui.measuresLabel.text, _settings(panel)
    host.close_module("XRayPose")
    again = xray.open_panel(host)
    assert again is not panel and again.session.running
    xray.rest(host, again)
    assert again.ui.measuresLabel.text == words and _settings(again) == settings
    assert len([n for n in xray.node_names() if n.endswith("on its detector")]) == 1


def test_scripts_get_the_sentence_as_an_error(host, panel):
    import XRayPose
    from DiffRegLib.errors import RegistrationError

    scene = xray.choose(panel)
    logic = XRayPose.XRayPoseLogic()
    slicer.util.updateVolumeFromArray(scene.xrays[0], np.full((1, *xray.SIZE), 7.0))
    with pytest.raises(RegistrationError, match="constant"):
        logic.process(parameters(panel), search=False)
    parameters(panel).ct = None
    with pytest.raises(RegistrationError, match="Select a CT"):
        logic.process(parameters(panel))
