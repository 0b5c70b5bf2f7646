"""The live radiograph and the rest of the scene: nothing stays behind, nothing covers it, bad moments."""

import gc
import weakref

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.xray_panel import parameters  # noqa: E402

VIEWS = "XRay1", "XRay2"


@pytest.fixture
def panel(host):
    return xray.open_panel(host)


def layout():
    return slicer.app.layoutManager().layout


def of_a_view(name):
    """Whether a node is one that Slicer makes for every view and keeps."""
    return any(view in name for view in VIEWS) or "SliceComposite" in name


def slice_state(view):
    """What a slice view shows, and where."""
    widget = slicer.app.layoutManager().sliceWidget(view)
    node, composite = widget.mrmlSliceNode(), widget.mrmlSliceCompositeNode()
    matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    return composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), *matrix.ravel().round(6).tolist()


def camera_state():
    node = slicer.modules.cameras.logic().GetViewActiveCameraNode(
        slicer.app.layoutManager().threeDWidget(0).mrmlViewNode()
    )
    return *node.GetPosition(), *node.GetFocalPoint(), *node.GetViewUp()


def test_live_off_leaves_the_scene_as_it_was_but_for_the_pose(host, panel):
    scene = xray.choose(panel, [xray.options(), xray.options(primary_angle=70.0)])
    other = slicer.util.addVolumeFromArray(np.zeros((9, 9, 9), dtype=np.int16), name="Another volume")
    slicer.util.setSliceViewerLayers(background=other, fit=True)
    host.process(50)
    nodes, slices = xray.node_names(), {view: slice_state(view) for view in ("Red", "Green")}
    before, camera = layout(), camera_state()
    xray.go_live(host, panel)
    assert layout() != before and slice_state("Red") != slices["Red"]
    xray.paste_truth(host, panel)
    host.click(panel.ui.liveButton)
    host.process(200)
    left = [name for name in xray.node_names() if name not in nodes and not of_a_view(name)]
    assert sorted(left) == [
        "vtkMRMLLinearTransformNode Pose of CT of a block",
        "vtkMRMLTransformDisplayNode TransformDisplayNode",
    ]
    assert not [name for name in nodes if name not in xray.node_names()]
    assert layout() == before
    assert {view: slice_state(view) for view in slices} == slices
    assert np.abs(np.subtract(camera_state(), camera)).max() < 1e-3
    assert np.abs(panel.pose.matrix - scene.truth).max() < 1e-6
    assert not panel.pose.node.GetDisplayNode().GetEditorVisibility()
    nodes = xray.node_names()
    xray.go_live(host, panel)
    host.click(panel.ui.liveButton)
    assert xray.node_names() == nodes


def test_after_live_a_drag_does_nothing_and_nothing_follows(host, panel):
    xray.choose(panel)
    xray.go_live(host, panel)
    live_layout = layout()
    widget = slicer.app.layoutManager().sliceWidget("XRay1").sliceView()
    host.click(panel.ui.liveButton)
    slicer.app.layoutManager().setLayout(live_layout)
    host.process(100)
    assert slicer.app.layoutManager().sliceWidget("XRay1").sliceView() is widget
    before = panel.pose.matrix
    host.mouse.drag("XRay1", (200, 150), (300, 250))
    host.mouse.wheel("XRay1", (200, 150), 2)
    host.process(200)
    assert np.abs(panel.pose.matrix - before).max() == 0
    assert host.pixels("XRay1").max() < 30, "the X-ray is still in its view"
    assert not panel.ui.shiftRSlider.enabled and not panel.ui.undoButton.enabled


def test_after_live_its_volumes_are_not_kept(host, panel):
    xray.choose(panel)
    xray.go_live(host, panel)
    view = weakref.ref(panel.session.view)
    host.click(panel.ui.liveButton)
    gc.collect()
    assert view() is None


def test_a_volume_that_is_loaded_does_not_cover_the_xray(host, panel, tmp_path):
    scene = xray.choose(panel)
    path = tmp_path / "another.nrrd"
    slicer.util.saveNode(scene.ct, str(path))
    xray.go_live(host, panel)
    before = host.pixels("XRay1").astype(int)
    loaded = slicer.util.loadVolume(str(path), {"show": True})
    host.process(100)
    shown = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID()
    assert shown == loaded.GetID(), "it was not shown at all"
    assert np.abs(host.pixels("XRay1").astype(int) - before).max() < 3
    assert panel.session.running


def test_other_c_arm_settings_move_the_detector(host, panel):
    from DiffRegLib.radiographs.carm import camera_of

    scene = xray.choose(panel)
    xray.go_live(host, panel)
    xray.over(host, panel, "CONTOURS")
    before = xray.picture("XRay1").copy()
    panel.ui.view_1_primary_angle.value = 40.0
    xray.rest(host, panel)
    center = scene.volume.affine.new_tensor(xray.CENTER)
    scene.cameras = [camera_of(xray.options(primary_angle=40.0), xray.SIZE, center)]
    assert np.abs(xray.picture("XRay1") - before).max() > 0.5
    xray.over(host, panel, "BLEND")
    assert np.abs(xray.picture("XRay1") - scene.drr(np.eye(4))).max() < 1e-4
    to_ras = slicer.app.layoutManager().sliceWidget("XRay1").mrmlSliceNode().GetSliceToRAS()
    normal = slicer.util.arrayFromVTKMatrix(to_ras)[:3, 2]
    assert abs(abs(normal @ [-np.sin(np.radians(40)), np.cos(np.radians(40)), 0]) - 1) < 1e-6
    assert panel.session.running


def test_a_missing_setting_stops_and_its_field_is_highlighted(host, panel):
    xray.choose(panel)
    before = layout()
    xray.go_live(host, panel)
    field = panel.ui.view_1_distance
    field.value = 0.0
    host.process(50)
    assert not panel.session.running and not panel.ui.liveButton.checked and layout() == before
    assert "distance" in panel.ui.statusLabel.text and panel.ui.statusLabel.isVisible()
    assert "background" in field.styleSheet
    assert not panel.ui.liveButton.enabled
    field.value = 1000.0
    host.process(50)
    assert field.styleSheet == "" and not panel.ui.statusLabel.isVisible()
    xray.go_live(host, panel)


@pytest.mark.parametrize(
    "role, words", [("ct", "Select a CT"), ("xray_1", "Select an X-ray"), ("pose", "pose is gone")]
)
def test_a_node_that_is_removed_ends_it_with_a_sentence(host, panel, role, words):
    xray.choose(panel)
    before = layout()
    xray.go_live(host, panel)
    slicer.mrmlScene.RemoveNode(parameters(panel).getValue(role))
    host.process(300)
    assert not panel.session.running and not panel.ui.liveButton.checked
    assert layout() == before
    assert words in panel.ui.statusLabel.text and panel.ui.statusLabel.isVisible()
    left = [name for name in xray.node_names() if "detector" in name or "beam" in name or "CT over" in name]
    assert not left
    host.mouse.drag("Red", (50, 50), (80, 80))


def test_one_of_two_xrays_that_is_removed_leaves_the_other(host, panel):
    xray.choose(panel, [xray.options(), xray.options(primary_angle=70.0)])
    xray.go_live(host, panel)
    slicer.mrmlScene.RemoveNode(parameters(panel).xray_2)
    host.process(300)
    assert panel.session.running and len(panel.session.view.views) == 1
    assert xray.picture("XRay1") is not None
    assert not [name for name in xray.node_names() if "X-ray 2 of a block" in name]


def test_removed_while_it_is_dragged(host, panel):
    """Nothing that is left of a drag meets a node that is gone."""
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    tag = panel.pose.node.AddObserver(
        slicer.vtkMRMLTransformableNode.TransformModifiedEvent, lambda *_: slicer.mrmlScene.RemoveNode(scene.ct)
    )
    node = panel.pose.node
    host.mouse.drag("XRay1", (200, 150), (260, 190), steps=4)
    node.RemoveObserver(tag)
    host.process(300)
    assert not panel.session.running


def test_the_scene_is_closed_while_live(host, panel):
    xray.choose(panel, [xray.options(), xray.options(primary_angle=70.0)])
    before = layout()
    xray.go_live(host, panel)
    host.close_scene()
    host.process(200)
    assert not panel.session.running and layout() == before
    assert not [name for name in xray.node_names() if "block" in name]
    assert panel.ui.statusLabel.text == "Select a CT"
    xray.choose(panel)
    xray.go_live(host, panel)


def test_a_segment_that_disappears_ends_it_with_a_sentence(host, panel):
    scene = xray.choose(panel)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Bones")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(scene.ct)
    for name, first in (("left", 5), ("right", 25)):
        inside = np.zeros(slicer.util.arrayFromVolume(scene.ct).shape, dtype=np.uint8)
        inside[10:38, 10:38, first : first + 18] = 1
        segmentation.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(inside, segmentation, name, scene.ct)
    parameters(panel).part = segmentation
    host.process(50)
    host.choose(panel.ui.partNameComboBox, "left")
    xray.go_live(host, panel)
    whole = scene.drr(np.eye(4))
    shown = xray.picture("XRay1")
    assert (shown[:, :20] < 0.01).all() and shown.max() > 1, "more than the segment is projected"
    assert (whole - shown).min() > -0.05
    segmentation.GetSegmentation().RemoveSegment("left")
    host.process(300)
    assert not panel.session.running
    assert "Bones" in panel.ui.statusLabel.text and "left" in panel.ui.statusLabel.text
