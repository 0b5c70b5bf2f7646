"""A part of the CT that is projected alone: a segment or a label, wherever its node is."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from Testing.panels import mrml_nodes  # noqa: E402
from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.xray_panel import parameters  # noqa: E402

BOXES = {"left hip": (8, 22, 12, 36, 10, 38), "right hip": (26, 40, 14, 30, 12, 30)}  # first and last i, j, k


@pytest.fixture
def panel(host):
    return xray.open_panel(host)


@pytest.fixture
def scene(panel):
    return xray.choose(panel)


def _affine(scene):
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    scene.ct.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _inside(names):
    """(48,48,48) bool: the voxels of the boxes."""
    inside = np.zeros((48, 48, 48), dtype=bool)
    for i0, i1, j0, j1, k0, k1 in (BOXES[name] for name in names):
        inside[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1] = True
    return inside


def _expected(scene, names, pose=None, shift=(0, 0, 0)):
    """(rows, columns): the projection of the CT with air everywhere but in the boxes, moved by whole voxels i, j, k."""
    import torch

    from DiffRegLib.image import Image
    from DiffRegLib.radiographs.attenuation import attenuation
    from DiffRegLib.radiographs.projection import project

    values = slicer.util.arrayFromVolume(scene.ct)
    alone = np.where(np.roll(_inside(names), shift[::-1], axis=(0, 1, 2)), values, -1000.0).astype(np.float32)
    volume = attenuation(Image(torch.from_numpy(alone)[None], torch.from_numpy(_affine(scene))))
    pose = torch.as_tensor(np.eye(4) if pose is None else pose)
    return project(volume, pose, scene.cameras[0])[0, 0].numpy()


def _segments(scene):
    return mrml_nodes.segmentation(slicer.mrmlScene, BOXES, "Bones", _affine(scene))


def _labels(scene):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Bones")
    values = sum((n * _inside([name]) for n, name in enumerate(BOXES, 1)), np.zeros((48, 48, 48), dtype=bool))
    slicer.util.updateVolumeFromArray(node, values.astype(np.int16))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_affine(scene)))
    return node


def _same(shown, expected):
    return np.abs(shown - expected).max() < 0.01 * expected.max()


@pytest.mark.parametrize("make, entries", [(_segments, list(BOXES)), (_labels, ["1", "2"])])
def test_one_part_and_all_of_them_are_projected_alone(host, panel, scene, make, entries):
    make(scene)
    host.choose(panel.ui.partSelector, "Bones")
    box = panel.ui.partNameComboBox
    assert [box.itemText(n) for n in range(box.count)] == ["All", *entries]
    xray.go_live(host, panel)
    assert _same(xray.picture("XRay1"), _expected(scene, BOXES))
    for entry, name in zip(entries, BOXES):
        host.choose(box, entry)
        xray.rest(host, panel)
        assert _same(xray.picture("XRay1"), _expected(scene, [name]))
    host.choose(panel.ui.partSelector, "The whole CT")
    xray.rest(host, panel)
    assert np.abs(xray.picture("XRay1") - scene.drr(panel.pose.matrix)).max() < 1e-3 and not box.enabled


def _renamed(node):
    node.GetSegmentation().GetSegment(node.GetSegmentation().GetSegmentIDs()[0]).SetName("femur")


def _removed(node):
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetSegmentIDs()[0])


def _erased(node):
    values = slicer.util.arrayFromVolume(node)
    slicer.util.updateVolumeFromArray(node, np.where(values == 1, 0, values))


@pytest.mark.parametrize(
    "make, entry, change",
    [(_segments, "left hip", _renamed), (_segments, "left hip", _removed), (_labels, "1", _erased)],
)
def test_a_part_that_goes_while_the_radiograph_is_live_ends_it_with_a_sentence(host, panel, scene, make, entry, change):
    node = make(scene)
    host.choose(panel.ui.partSelector, "Bones")
    host.choose(panel.ui.partNameComboBox, entry)
    xray.go_live(host, panel)
    change(node)
    host.wait_until(lambda: not panel.session.running, xray.SECONDS, "the end of the live radiograph")
    assert '"Bones"' in panel.ui.statusLabel.text and f"{entry!r}" in panel.ui.statusLabel.text
    assert not panel.ui.liveButton.checked and not panel.ui.liveButton.enabled and not panel.ui.refineButton.enabled
    host.choose(panel.ui.partNameComboBox, "All")
    xray.go_live(host, panel)
    assert panel.ui.statusLabel.text == ""


@pytest.mark.parametrize("make", [_segments, _labels])
def test_the_part_moves_with_the_ct(host, panel, scene, make):
    node = parameters(panel).part = make(scene)
    xray.go_live(host, panel)
    panel.pose.move(scene.truth)
    xray.rest(host, panel)
    expected = _expected(scene, BOXES, scene.truth)
    assert _same(xray.picture("XRay1"), expected)
    host.click(panel.ui.liveButton)
    xray.go_live(host, panel)  # everything is prepared again at the pose that it has now
    assert _same(xray.picture("XRay1"), expected)
    assert node.GetParentTransformNode() is parameters(panel).pose


def test_a_part_that_is_chosen_after_the_ct_has_moved_is_of_the_ct(host, panel, scene):
    xray.go_live(host, panel)
    panel.pose.move(scene.truth)
    parameters(panel).part = _segments(scene)
    xray.rest(host, panel)
    assert _same(xray.picture("XRay1"), _expected(scene, BOXES, scene.truth))


def test_a_part_under_another_transform_is_taken_where_it_is_seen_beside_the_ct(host, panel, scene):
    node, shift = _segments(scene), np.eye(4)
    shift[:3, 3] = (8.0, -4.0, 12.0)  # whole voxels
    other = mrml_nodes.linear_parent(slicer.mrmlScene, node, shift, "Drawn elsewhere")
    parameters(panel).part = node
    xray.go_live(host, panel)
    moved = (2, -1, 3)
    assert _same(xray.picture("XRay1"), _expected(scene, BOXES, None, moved))
    panel.pose.move(scene.truth)
    host.click(panel.ui.liveButton)
    xray.go_live(host, panel)
    assert _same(xray.picture("XRay1"), _expected(scene, BOXES, scene.truth, moved))
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    other.GetMatrixTransformToParent(matrix)
    assert np.array_equal(slicer.util.arrayFromVTKMatrix(matrix), shift) and other.GetParentTransformNode() is None


def test_a_part_under_a_transform_that_bends_cannot_be_taken(host, panel, scene):
    node = parameters(panel).part = _segments(scene)
    mrml_nodes.bent_parent(slicer.mrmlScene, node)
    host.click(panel.ui.liveButton)
    assert '"Bones" is under the non-linear transform "bent"' in panel.ui.statusLabel.text
    assert not panel.ui.liveButton.enabled


def test_the_part_alone_is_registered(host, panel, scene):
    """The X-ray is of one bone: only the part alone explains it."""
    alone = _expected(scene, ["left hip"], scene.truth)
    slicer.util.updateVolumeFromArray(scene.xrays[0], alone[None])
    parameters(panel).part = _segments(scene)
    host.choose(panel.ui.partNameComboBox, "left hip")
    host.click(panel.ui.refineButton)
    host.wait_until(lambda: not panel.registration.running, xray.SECONDS, "the end of the registration")
    assert panel.ui.statusLabel.text == "" and xray.corner_error(panel.pose.matrix, scene.truth) < 1.0
    assert _same(slicer.util.arrayFromVolume(parameters(panel).drr_1)[0], _expected(scene, ["left hip"], scene.truth))
