"""Files that a job reads hold what is seen in Slicer: geometry, parents, sides and signs, checked against SimpleITK."""

# ruff: noqa: E402
import subprocess
import sys

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

import SimpleITK as sitk
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_landmarks, read_points, read_transform
from DiffRegLib.mrml import arrays, export
from DiffRegLib.mrml.seen import note
from DiffRegLib.mrml.segments import matched_values
from Testing.modules import ROOT
from Testing.panels import mrml_nodes as nodes

POINTS = np.array([[1.0, 2.0, 3.0], [-40.0, 5.5, 60.0], [33.0, -21.0, 8.0]])


def _itk_affine(image):
    """(4, 4) voxel index to RAS mm of a SimpleITK image, which is LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
def test_a_volume_file_has_the_oblique_geometry_the_voxels_and_their_type(tmp_path, dtype):
    scene = nodes.new_scene()
    node = nodes.volume(scene, dtype=dtype)
    exported = export.export(node, tmp_path, "fixed")
    image = sitk.ReadImage(str(exported.path))
    assert np.allclose(_itk_affine(image), nodes.oblique_affine(), atol=1e-6)
    found = sitk.GetArrayFromImage(image)
    assert found.dtype == dtype and np.array_equal(found, arrays.voxels(node.GetImageData())[0])
    assert exported.notes == () and exported.path.name == "fixed.nrrd"


@pytest.mark.parametrize("parents", ["one", "two", "inverse"])
def test_a_volume_under_linear_transforms_is_written_where_it_is_seen(tmp_path, parents):
    scene = nodes.new_scene()
    node = nodes.volume(scene)
    first = nodes.linear_parent(scene, node)
    expected = nodes.MOTION
    if parents == "two":
        nodes.linear_parent(scene, first, nodes.rotation(0, 0, 90), "outer")
        expected = nodes.rotation(0, 0, 90) @ nodes.MOTION
    if parents == "inverse":
        first.Inverse()
        expected = np.linalg.inv(nodes.MOTION)
    before = nodes.state(scene)
    exported = export.export(node, tmp_path, "moving")
    image = sitk.ReadImage(str(exported.path))
    assert np.allclose(_itk_affine(image), expected @ nodes.oblique_affine(), atol=1e-6)
    assert nodes.state(scene) == before
    assert exported.notes == ('"ct" is under the transform "moved" and is taken where it is seen.',)


def test_a_voxel_on_the_patients_right_has_a_positive_x_in_ras_and_a_negative_one_in_the_file(tmp_path):
    scene = nodes.new_scene()
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (30, 0, 0)
    node = nodes.volume(scene, shape=(2, 3, 4), affine=affine, values=lambda p: (p[..., 0] == 34) * 1.0)
    image = sitk.ReadImage(str(export.export(node, tmp_path, "fixed").path))
    k, j, i = np.argwhere(sitk.GetArrayFromImage(image) == 1)[0]
    assert image.TransformIndexToPhysicalPoint([int(i), int(j), int(k)])[0] == -34


def test_a_volume_under_a_bent_transform_is_refused_by_name_and_stays_as_it_was(tmp_path):
    scene = nodes.new_scene()
    node = nodes.volume(scene, "CT thorax")
    nodes.bent_parent(scene, node, "old warp")
    before = nodes.state(scene)
    with pytest.raises(RegistrationError, match='"CT thorax" is under the non-linear transform "old warp".*harden'):
        export.export(node, tmp_path, "moving")
    assert nodes.state(scene) == before and not list(tmp_path.iterdir())


@pytest.mark.parametrize("parent", [None, "linear", "bent"])
def test_a_model_is_written_where_it_is_seen(tmp_path, parent):
    scene = nodes.new_scene()
    node = nodes.model(scene)
    own = arrays.from_vtk_points(node.GetPolyData().GetPoints())
    expected = own
    if parent == "linear":
        nodes.linear_parent(scene, node)
        expected = nodes.apply(nodes.MOTION, own)
    if parent == "bent":
        nodes.bent_parent(scene, node)
        expected = np.array([nodes.bent_transform().TransformPoint(p) for p in own])
    exported = export.export(node, tmp_path, "fixed")
    assert np.allclose(read_points(exported.path).points.numpy(), expected, atol=1e-4)
    assert np.array_equal(arrays.from_vtk_points(node.GetPolyData().GetPoints()), own)
    assert bool(exported.notes) == (parent is not None)


@pytest.mark.parametrize("parent", [None, "linear", "bent"])
@pytest.mark.parametrize("node_class", ["vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsCurveNode"])
def test_markups_are_written_where_they_are_seen_and_in_their_order(tmp_path, node_class, parent):
    scene = nodes.new_scene()
    node = nodes.markups(scene, POINTS, node_class=node_class)
    expected = POINTS
    if parent == "linear":
        nodes.linear_parent(scene, node)
        expected = nodes.apply(nodes.MOTION, POINTS)
    if parent == "bent":
        nodes.bent_parent(scene, node)
        expected = np.array([nodes.bent_transform().TransformPoint(p) for p in POINTS])
    exported = export.export(node, tmp_path, "fixed_landmarks")
    assert exported.path.name == "fixed_landmarks.mrk.json"
    assert np.allclose(read_landmarks(exported.path).numpy(), expected, atol=1e-4)


def test_control_points_that_were_not_placed_are_written_as_such(tmp_path):
    scene = nodes.new_scene()
    node = nodes.markups(scene, POINTS)
    node.UnsetNthControlPointPosition(1)
    exported = export.export(node, tmp_path, "fixed")
    listed = read_points(exported.path)
    assert listed.names == ("p0", "p1", "p2") and listed.placed.tolist() == [True, False, True]
    assert np.allclose(listed.cloud().points.numpy(), POINTS[[0, 2]])


def test_segments_of_one_name_are_one_label_on_both_sides(tmp_path):
    scene = nodes.new_scene()
    fixed = nodes.segmentation(scene, {"spleen": (0, 2, 0, 2, 0, 2), "liver": (4, 8, 4, 8, 4, 8)}, "inspiration")
    moving = nodes.segmentation(scene, {"liver": (3, 6, 4, 8, 4, 8), "tumor": (0, 1, 0, 1, 0, 1)}, "expiration")
    values, notes = matched_values(fixed, moving)
    left, right = (export.export(node, tmp_path, node.GetName(), values) for node in (fixed, moving))
    assert left.values["liver"] == right.values["liver"] and left.values["spleen"] != right.values["tumor"]
    for side, voxels in ((left, 125), (right, 100)):
        data = sitk.GetArrayFromImage(sitk.ReadImage(str(side.path)))
        assert (data == side.values["liver"]).sum() == voxels
    assert list(notes) == ["These segments are on one side only: spleen, tumor."]


@pytest.mark.parametrize("moved", [False, True])
def test_a_segment_lies_in_the_file_where_it_is_seen(tmp_path, moved):
    scene = nodes.new_scene()
    node = nodes.segmentation(scene, {"liver": (3, 5, 2, 6, 1, 2)})
    if moved:
        nodes.linear_parent(scene, node)
    image = sitk.ReadImage(str(export.export(node, tmp_path, "fixed").path))
    found = np.argwhere(sitk.GetArrayFromImage(image) == 1)[:, ::-1]
    place = nodes.apply(_itk_affine(image), found.astype(float))
    k, j, i = np.meshgrid((1, 2), range(2, 7), (3, 4, 5), indexing="ij")
    expected = nodes.apply(nodes.oblique_affine(), np.stack((i, j, k), -1).reshape(-1, 3))
    expected = nodes.apply(nodes.MOTION, expected) if moved else expected
    assert len(place) == len(expected) and np.allclose(place, expected, atol=1e-5)
    spacing = np.array(image.GetSpacing())
    assert (found.min(0) * spacing >= 10).all()  # room around it, so that a moved organ is not cut


def test_a_segmentation_of_surfaces_is_filled_and_not_changed(tmp_path):
    scene = nodes.new_scene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "from surfaces")
    segment = slicer.vtkSegment()
    segment.SetName("ball")
    segment.AddRepresentation("Closed surface", nodes.model(scene).GetPolyData())
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.GetSegmentation().AddSegment(segment)
    image = sitk.ReadImage(str(export.export(node, tmp_path, "fixed").path))
    data = sitk.GetArrayFromImage(image)
    center = nodes.apply(_itk_affine(image), np.argwhere(data)[:, ::-1].mean(0))
    assert np.allclose(center, (10, -20, 30), atol=0.5)
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


def test_an_initial_transform_file_does_what_the_node_would_do_to_the_moving_volume(tmp_path):
    scene = nodes.new_scene()
    fixed, moving = nodes.volume(scene, "fixed"), nodes.volume(scene, "moving")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "guess")
    transform.SetMatrixTransformToParent(arrays.array_to_matrix(nodes.MOTION))
    exported = export.export_initial(transform, fixed, moving, tmp_path)
    x = np.array([[10.0, -20.0, 30.0]])
    expected = nodes.apply(np.linalg.inv(nodes.MOTION), x)  # the place of the volume that is seen at x
    assert np.allclose(read_transform(exported.path)(torch.from_numpy(x)).numpy(), expected, atol=1e-6)


def test_a_bent_initial_transform_is_sampled_over_the_fixed_volume(tmp_path):
    scene = nodes.new_scene()
    fixed, moving = nodes.volume(scene, "fixed"), nodes.volume(scene, "moving")
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "guess")
    transform.SetAndObserveTransformToParent(nodes.bent_transform())
    exported = export.export_initial(transform, fixed, moving, tmp_path)
    x = nodes.grid_points((9, 11, 13), nodes.oblique_affine()).reshape(-1, 3)[::7]
    y = read_transform(exported.path)(torch.from_numpy(x)).numpy()
    back = np.array([nodes.bent_transform().TransformPoint(p) for p in y])
    assert np.abs(back - x).max() < 0.02 and np.linalg.norm(y - x, axis=1).max() > 1.5


def test_a_sentence_about_files_becomes_one_about_nodes(tmp_path):
    scene = nodes.new_scene()
    sides = (("fixed", "inhale"), ("moving", "exhale"))
    exported = [export.export(nodes.volume(scene, name), tmp_path, role) for role, name in sides]
    sentence = f"{exported[0].path} and {exported[1].path} do not overlap."
    assert export.in_node_names(sentence, exported) == '"inhale" and "exhale" do not overlap.'


def _empty_volume(scene):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "bad")


def _empty_segments(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bad")
    node.GetSegmentation().AddEmptySegment("a", "a")
    return node


def _colors(scene):
    image = arrays.image_data(np.zeros((3, 2, 2, 2), np.uint8))
    return scene.AddNode(arrays.volume_node(slicer.vtkMRMLVectorVolumeNode, "bad", image, np.eye(4)))


def _skewed(scene):
    node = nodes.volume(scene, "bad")
    skew = np.eye(4)
    skew[0, 1] = 0.3
    nodes.linear_parent(scene, node, skew)
    return node


def _bent_segments(scene):
    node = nodes.segmentation(scene, {"a": (0, 1, 0, 1, 0, 1)}, "bad")
    nodes.bent_parent(scene, node)
    return node


BAD = {
    "holds no voxels": _empty_volume,
    "has no segments": lambda scene: scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bad"),
    "All segments of": _empty_segments,
    "3 values a voxel": _colors,
    "not at right angles": _skewed,
    "under the non-linear transform": _bent_segments,
    "empty model": lambda scene: scene.AddNewNodeByClass("vtkMRMLModelNode", "bad"),
    "no placed control points": lambda scene: nodes.markups(scene, [], "bad"),
    "is a transform": lambda scene: scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "bad"),
    "choose a volume, a segmentation": lambda scene: scene.AddNewNodeByClass("vtkMRMLCameraNode", "bad"),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_sentence_with_the_nodes_name_and_changes_nothing(tmp_path, words):
    scene = nodes.new_scene()
    node = BAD[words](scene)
    before = nodes.state(scene)
    with pytest.raises(RegistrationError, match=words) as error:
        export.export(node, tmp_path, "fixed")
    assert '"bad"' in str(error.value)
    assert nodes.state(scene) == before and not list(tmp_path.iterdir())


def test_segmentations_without_a_common_name_are_refused(tmp_path):
    scene = nodes.new_scene()
    a = nodes.segmentation(scene, {"a": (0, 1, 0, 1, 0, 1), "b": (3, 4, 3, 4, 3, 4)}, "first")
    b = nodes.segmentation(scene, {"c": (0, 1, 0, 1, 0, 1), "d": (3, 4, 3, 4, 3, 4)}, "second")
    with pytest.raises(RegistrationError, match="no segment name in common"):
        matched_values(a, b)


def test_a_place_that_cannot_be_written_is_named_with_the_node(tmp_path):
    scene = nodes.new_scene()
    (tmp_path / "file").write_text("where a folder should be")
    for node in (nodes.volume(scene), nodes.model(scene), nodes.markups(scene, POINTS)):
        with pytest.raises(RegistrationError, match=f'"{node.GetName()}" cannot be written to'):
            export.export(node, tmp_path / "file", "fixed")


def test_an_initial_transform_that_already_moves_the_moving_node_is_refused(tmp_path):
    scene = nodes.new_scene()
    fixed, moving = nodes.volume(scene, "fixed"), nodes.volume(scene, "moving")
    parent = nodes.linear_parent(scene, moving, name="guess")
    with pytest.raises(RegistrationError, match='"moving" is already under "guess"'):
        export.export_initial(parent, fixed, moving, tmp_path)


def test_an_identity_parent_is_not_worth_a_note():
    scene = nodes.new_scene()
    node = nodes.volume(scene)
    nodes.linear_parent(scene, node, np.eye(4))
    assert note(node) == ""


def test_the_panels_side_loads_without_torch():
    modules = "arrays, export, layout, results, seen, segments, show, show_transform, transforms"
    code = (
        f"import sys; from DiffRegLib.mrml import {modules}; sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
