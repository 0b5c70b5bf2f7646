"""Landmark pairs by mouse clicks: in the slices of the CT, on the X-ray, and the pose that brings them together."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.xray_panel import parameters  # noqa: E402

PLACES = np.array([[50, -40, 55], [-55, -30, 20], [45, 50, -20], [-40, 45, 40], [5, -55, -42.0]]) + xray.CENTER


@pytest.fixture
def panel(host):
    panel = xray.open_panel(host)
    panel.ui.landmarksCollapsibleButton.collapsed = False
    return panel


@pytest.fixture
def live(host, panel):
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    return scene


def _mode():
    node = slicer.app.applicationLogic().GetInteractionNode()
    return node.GetCurrentInteractionMode() == node.Place


def _click_in_ct(host, panel, places):
    """Presses the button, goes to the slice of each place, clicks there, and lets the button out."""
    host.click(panel.ui.placeLandmarksButton)
    for n, place in enumerate(places):
        view, axis = (("Red", 2), ("Green", 1))[n % 2]
        host.view(view).mrmlSliceNode().SetSliceOffset(place[axis])
        host.process(20)
        _click(host, view, tuple(place), parameters(panel).landmarks)
    host.click(panel.ui.placeLandmarksButton)


def _click_on_xray(host, panel, pixels):
    host.click(panel.ui.placeClicksButton)
    for pixel in pixels:
        _click(host, "XRay1", xray.place(host, "XRay1", pixel), parameters(panel).clicks)
    host.click(panel.ui.placeClicksButton)


def _click(host, view, place, node):
    """One click is one point."""
    assert _mode(), "the mode that places points is off"
    before = node.GetNumberOfDefinedControlPoints()
    host.mouse.click(view, place)
    assert node.GetNumberOfDefinedControlPoints() == before + 1, f"the click at {place} in {view} placed no point"


def _pixels(scene, places, pose):
    import torch

    moved = torch.from_numpy(places @ pose[:3, :3].T + pose[:3, 3])
    return scene.cameras[0].project(moved)[0].numpy()


def _world(node):
    return slicer.util.arrayFromMarkupsControlPoints(node, world=True)


def test_five_pairs_bring_the_ct_to_its_place(host, panel, live):
    before = panel.pose.matrix
    _click_in_ct(host, panel, PLACES)
    placed = _world(parameters(panel).landmarks)
    assert placed.shape == PLACES.shape and np.abs(placed - PLACES).max() < 1.5  # a pixel of the slice's view
    pixels = _pixels(live, placed, live.truth)
    assert ((pixels > 2) & (pixels < np.array(xray.SIZE[::-1]) - 3)).all(), "a landmark is not on the X-ray"
    assert not panel.ui.landmarkPoseButton.enabled
    _click_on_xray(host, panel, pixels)
    assert len(_world(parameters(panel).clicks)) == 5 and panel.ui.landmarksLabel.text == "Ready."
    assert np.array_equal(panel.pose.matrix, before), "a click on the X-ray has moved the CT"
    host.click(panel.ui.landmarkPoseButton)
    xray.rest(host, panel)
    assert np.abs(_pixels(live, placed, panel.pose.matrix) - pixels).max() < 0.3
    assert xray.corner_error(panel.pose.matrix, live.truth) < 3.0 < xray.corner_error(before, live.truth)
    assert "pixels (rms) from their clicks" in panel.ui.statusLabel.text
    _rode_along(panel, live, placed)
    host.click(panel.ui.undoButton)
    assert np.array_equal(panel.pose.matrix, before)


def _rode_along(panel, scene, placed):
    """The CT's points have moved with it, those on the X-ray have not."""
    node, pose = parameters(panel).landmarks, panel.pose.matrix
    assert node.GetParentTransformNode() is parameters(panel).pose
    assert np.allclose(_world(node), placed @ pose[:3, :3].T + pose[:3, 3])
    clicks = parameters(panel).clicks
    assert clicks.GetParentTransformNode() is None
    away = (_world(clicks) - scene.cameras[0].source.numpy()) @ scene.cameras[0].pose[:3, 2].numpy()
    assert np.allclose(away, scene.cameras[0].distance, atol=1e-6)


def test_points_are_placed_where_the_ct_is_seen_after_it_has_moved(host, panel, live):
    panel.pose.move(live.truth)
    xray.rest(host, panel)
    seen = PLACES[:2] @ live.truth[:3, :3].T + live.truth[:3, 3]
    _click_in_ct(host, panel, seen)
    own = slicer.util.arrayFromMarkupsControlPoints(parameters(panel).landmarks)
    assert np.abs(own - PLACES[:2]).max() < 1.5


def test_too_few_and_unequal_pairs_are_counted(host, panel, live):
    assert "0 points in the CT and 0 in the X-ray" in panel.ui.landmarksLabel.text
    _click_in_ct(host, panel, PLACES[:3])
    _click_on_xray(host, panel, _pixels(live, PLACES[:2], np.eye(4)))
    assert "3 points in the CT and 2 in the X-ray" in panel.ui.landmarksLabel.text
    assert "at least 4 pairs" in panel.ui.landmarksLabel.text and not panel.ui.landmarkPoseButton.enabled
    _click_on_xray(host, panel, _pixels(live, PLACES[2:], np.eye(4)))
    assert "3 points in the CT and 5 in the X-ray" in panel.ui.landmarksLabel.text
    assert not panel.ui.landmarkPoseButton.enabled
    parameters(panel).landmarks.RemoveNthControlPoint(0)
    assert "2 points in the CT and 5 in the X-ray" in panel.ui.landmarksLabel.text


def test_points_that_fit_no_pose_get_a_sentence(host, panel, live):
    for role in ("landmarks", "clicks"):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", role)
        for step in range(4):
            node.AddControlPoint([10.0 * step, 0.0, 0.0])
        parameters(panel).setValue(role, node)
    before = panel.pose.matrix
    host.click(panel.ui.landmarkPoseButton)
    assert '"landmarks", "clicks"' in panel.ui.statusLabel.text and np.array_equal(panel.pose.matrix, before)


def test_placing_is_one_button_at_a_time_and_ends_with_the_mode(host, panel, live):
    host.click(panel.ui.placeLandmarksButton)
    assert _mode() and panel.ui.placeLandmarksButton.checked and not panel.ui.placeClicksButton.checked
    host.click(panel.ui.placeClicksButton)
    assert _mode() and panel.ui.placeClicksButton.checked and not panel.ui.placeLandmarksButton.checked
    node = slicer.app.applicationLogic().GetInteractionNode()
    node.SetCurrentInteractionMode(node.ViewTransform)
    host.process(20)
    assert not panel.ui.placeClicksButton.checked


def test_points_that_were_placed_before_ride_along(host, panel):
    """Control points under no transform are in the own coordinates of the CT, wherever it is."""
    scene = xray.choose(panel)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Anatomy")
    for place in PLACES:
        node.AddControlPoint(place)
    host.choose(panel.ui.landmarksSelector, "Anatomy")
    xray.go_live(host, panel)
    _click_on_xray(host, panel, _pixels(scene, PLACES, scene.truth))
    host.click(panel.ui.landmarkPoseButton)
    assert xray.corner_error(panel.pose.matrix, scene.truth) < 3.0
    assert np.allclose(_world(node), PLACES @ panel.pose.matrix[:3, :3].T + panel.pose.matrix[:3, 3])


def test_placing_that_goes_on_elsewhere_passes_to_the_button(host, panel, live):
    """Another module left the mode on, as Markups does with several points at once: no change of the mode tells."""
    logic = slicer.app.applicationLogic()
    mode, selection = logic.GetInteractionNode(), logic.GetSelectionNode()
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "other")
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
    selection.SetActivePlaceNodeID(other.GetID())
    mode.SetPlaceModePersistence(1)
    mode.SetCurrentInteractionMode(mode.Place)
    host.process(20)
    assert not panel.ui.placeLandmarksButton.checked
    host.click(panel.ui.placeLandmarksButton)
    assert panel.ui.placeLandmarksButton.checked
    selection.SetActivePlaceNodeID(other.GetID())
    host.process(20)
    assert not panel.ui.placeLandmarksButton.checked
    mode.SetCurrentInteractionMode(mode.ViewTransform)


def test_bones_that_are_drawn_anew_leave_the_clicks_to_the_landmarks(host, panel, monkeypatch):
    """A slow frame passes the bones in 3D on to the processor; their new region is a markup, as the landmarks are."""
    from DiffRegLib.mrml.xray import bones

    monkeypatch.setattr(bones, "SLOW", float("inf"))
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    host.click(panel.ui.placeLandmarksButton)
    logic = slicer.modules.volumerendering.logic()
    assert not logic.GetFirstVolumeRenderingDisplayNode(scene.ct).IsA(bones.ON_PROCESSOR)
    monkeypatch.setattr(bones, "SLOW", 0.0)
    host.pixels("1")
    host.process(50)
    assert logic.GetFirstVolumeRenderingDisplayNode(scene.ct).IsA(bones.ON_PROCESSOR)
    active = slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID()
    assert active == parameters(panel).landmarks.GetID() and panel.ui.placeLandmarksButton.checked
    view = host.view("Red")
    view.mrmlSliceNode().SetSliceOffset(PLACES[0][2])
    host.process(20)
    _click(host, "Red", tuple(PLACES[0]), parameters(panel).landmarks)
