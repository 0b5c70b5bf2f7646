"""Results in the scene: what a transform node does to a volume, to points and to models, by numbers; all or nothing."""

# ruff: noqa: E402
import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

import torch
from scipy.ndimage import map_coordinates

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import write_image
from DiffRegLib.image import Image
from DiffRegLib.mrml import arrays, results
from DiffRegLib.mrml.results import Output
from DiffRegLib.transforms import Affine, DisplacementField, write_transform
from Testing.panels import mrml_nodes as nodes

FIXED = nodes.oblique_affine((2.0, 2.5, 2.5), (5, -10, 15), (-25, 20, 62))
FIXED_SHAPE = (7, 8, 9)
MOVING = nodes.oblique_affine((2.0, 2.0, 2.0), (20, -15, 35))
MOVING_SHAPE = (45, 45, 45)
MOVING[:3, 3] += nodes.apply(FIXED, np.array([4.0, 4.0, 3.0])) - nodes.apply(MOVING, np.array([22.0, 22.0, 22.0]))


def _field():
    """A displacement field that covers both volumes, up to 5 mm, different along each axis."""
    affine = np.diag([10.0, 10.0, 10.0, 1.0])
    affine[:3, 3] = (-150, -120, -70)
    x, y, z = np.moveaxis(nodes.grid_points((30, 30, 30), affine), -1, 0)
    data = np.stack((5 * np.sin(y / 40), 3 * np.cos(z / 35), -4 * np.sin((x + y) / 45)))
    return DisplacementField(Image(torch.from_numpy(data.astype(np.float32)), torch.from_numpy(affine)))


TRANSFORMS = {
    "linear": Affine(torch.from_numpy(nodes.MOTION)),
    "field": _field(),
    "both": Affine(torch.from_numpy(nodes.MOTION)) @ _field(),
}


def _values_at(volume, points):
    """Linear interpolation in a volume node that is under no transform."""
    index = nodes.apply(np.linalg.inv(arrays.ijk_to_ras(volume)), points.reshape(-1, 3))
    data = arrays.voxels(volume.GetImageData())[0].astype(float)
    return map_coordinates(data, index.T[::-1], order=1, cval=np.nan).reshape(points.shape[:-1])


@pytest.mark.parametrize("kind", TRANSFORMS)
@pytest.mark.parametrize("parent", [None, "linear"])
def test_a_moving_volume_under_the_result_appears_at_the_fixed_one(tmp_path, kind, parent):
    """With m the moving image as seen, Slicer must show m(T(x)) at x. Hardening lets Slicer's own code compute it."""
    scene, transform = nodes.new_scene(), TRANSFORMS[kind]
    moving = nodes.volume(scene, "moving", MOVING_SHAPE, MOVING)
    place = np.eye(4)
    if parent:
        place = nodes.rotation(3, -2, 5)
        nodes.linear_parent(scene, moving, place, "table")
    node = _added(scene, transform, tmp_path)
    top = moving.GetParentTransformNode() or moving
    top.SetAndObserveTransformNodeID(node.GetID())
    moving.HardenTransform()
    points = nodes.grid_points(FIXED_SHAPE, FIXED)
    mapped = transform(torch.from_numpy(points)).numpy()
    expected = nodes.smooth_values(nodes.apply(np.linalg.inv(place), mapped))
    unmoved = nodes.smooth_values(nodes.apply(np.linalg.inv(place), points))
    assert np.abs(_values_at(moving, points) - expected).max() < 3  # interpolating sin(x / 9) * 100 twice on 2 mm
    assert np.abs(unmoved - expected).max() > 20


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_the_node_calls_the_transform_from_parent_and_is_linear_where_it_is(tmp_path, kind):
    node = _added(nodes.new_scene(), TRANSFORMS[kind], tmp_path)
    assert node.IsA("vtkMRMLLinearTransformNode") == (kind == "linear")
    x = nodes.grid_points(FIXED_SHAPE, FIXED).reshape(-1, 3)
    expected = TRANSFORMS[kind](torch.from_numpy(x)).numpy()
    assert np.abs(arrays.map_points(node.GetTransformFromParent(), x) - expected).max() < 1e-3
    back = arrays.map_points(node.GetTransformToParent(), expected)
    assert np.abs(back - x).max() < 0.01


def test_a_displacement_to_the_patients_left_takes_the_moving_volume_to_the_right(tmp_path):
    """T(x) = x - 10 mm along R (to the left): what is seen at x comes from its left, so it has moved to the right."""
    scene = nodes.new_scene()
    moving = nodes.volume(scene, "moving", (5, 5, 41), np.eye(4), lambda p: (p[..., 0] == 5) * 1.0)
    shift = _added(scene, Affine.translation(torch.tensor([-10.0, 0, 0])), tmp_path)
    moving.SetAndObserveTransformNodeID(shift.GetID())
    moving.HardenTransform()
    assert _values_at(moving, np.array([[15.0, 2, 2]])) == 1 and _values_at(moving, np.array([[12.0, 2, 2]])) == 0


@pytest.mark.parametrize("parent", [None, "linear", "bent"])
@pytest.mark.parametrize("make", [nodes.model, lambda scene: nodes.markups(scene, [[0, 1, 2], [30, -20, 40]])])
def test_points_of_the_moving_side_are_carried_to_the_fixed_one(tmp_path, make, parent):
    scene = nodes.new_scene()
    moving = make(scene)
    if parent:
        (nodes.linear_parent if parent == "linear" else nodes.bent_parent)(scene, moving)
    before = nodes.state(scene)
    inverse = TRANSFORMS["both"].inverse()
    write_transform(inverse, tmp_path / "inverse.h5")
    carried = results.carry(moving, results.read_transform(tmp_path / "inverse.h5", "inverse"), "carried")
    assert nodes.state(scene) == before
    seen, warped = _world(moving), _world(carried)
    forward = TRANSFORMS["both"](torch.from_numpy(warped)).numpy()
    assert np.abs(forward - seen).max() < 0.3  # the inverse is sampled on a grid of 10 mm
    assert np.linalg.norm(warped - seen, axis=1).min() > 2


def test_a_carried_curve_stays_a_curve_with_its_labels(tmp_path):
    scene = nodes.new_scene()
    curve = nodes.markups(scene, [[0, 0, 0], [10, 0, 0], [10, 9, 0]], node_class="vtkMRMLMarkupsClosedCurveNode")
    curve.SetNthControlPointLabel(1, "carina")
    inverse = results.linear_node(np.linalg.inv(nodes.MOTION), "inverse")
    carried = results.carry(curve, inverse, "carried")
    placed = results.add(scene, {"curve": Output(carried, like=curve)})["curve"]
    assert placed.GetClassName() == curve.GetClassName() and placed.GetNthControlPointLabel(1) == "carina"
    assert np.allclose(_world(placed)[2], nodes.apply(np.linalg.inv(nodes.MOTION), np.array([10, 9, 0])))
    assert np.allclose(_world(curve)[2], (10, 9, 0))


def test_a_warped_volume_lies_on_the_fixed_grid_and_looks_like_the_moving_one(tmp_path):
    scene = nodes.new_scene()
    moving = nodes.volume(scene, "moving")
    moving.CreateDefaultDisplayNodes()
    moving.GetDisplayNode().SetAutoWindowLevel(False)
    moving.GetDisplayNode().SetWindowLevel(321, 45)
    data = np.arange(np.prod(FIXED_SHAPE), dtype=np.float32).reshape(1, *FIXED_SHAPE)
    write_image(Image(torch.from_numpy(data), torch.from_numpy(FIXED)), tmp_path / "warped_moving.nii.gz")
    node = results.read_warped(tmp_path / "warped_moving.nii.gz", moving, "warped")
    placed = results.add(scene, {"warped": Output(node, like=moving)})["warped"]
    assert np.allclose(arrays.ijk_to_ras(placed), FIXED, atol=1e-4)
    assert np.array_equal(arrays.voxels(placed.GetImageData()), data)
    assert (placed.GetDisplayNode().GetWindow(), placed.GetDisplayNode().GetLevel()) == (321, 45)
    assert placed.GetParentTransformNode() is None and placed.GetName() == "warped"


def test_a_warped_segmentation_keeps_its_segments_names_and_colors(tmp_path):
    scene = nodes.new_scene()
    moving = nodes.segmentation(scene, {"liver": (0, 1, 0, 1, 0, 1), "spleen": (3, 4, 3, 4, 3, 4)})
    labels = np.zeros((1, *FIXED_SHAPE), np.float32)
    labels[0, 2, 3, 4], labels[0, 5, 1, 6] = 7, 3
    write_image(Image(torch.from_numpy(labels), torch.from_numpy(FIXED)), tmp_path / "warped_moving.nii.gz", "uint8")
    node = results.read_warped(tmp_path / "warped_moving.nii.gz", moving, "warped", {"liver": 7, "spleen": 3})
    placed = results.add(scene, {"warped": Output(node, like=moving)})["warped"]
    assert placed.GetSegmentation().GetNthSegment(1).GetName() == "spleen"
    assert placed.GetSegmentation().GetNthSegment(1).GetColor() == moving.GetSegmentation().GetNthSegment(1).GetColor()
    for n, index in enumerate(((4, 3, 2), (6, 1, 5))):
        place = placed.GetSegmentCenterRAS(placed.GetSegmentation().GetNthSegmentID(n))
        assert np.allclose(place, nodes.apply(FIXED, np.array(index)), atol=1e-3)


def test_existing_outputs_take_the_results_over_and_lie_in_the_world(tmp_path):
    scene = nodes.new_scene()
    target = scene.AddNewNodeByClass("vtkMRMLTransformNode", "my transform")
    volume = nodes.volume(scene, "my volume")
    nodes.linear_parent(scene, volume)
    fresh = arrays.volume_node(
        slicer.vtkMRMLScalarVolumeNode, "w", arrays.image_data(np.ones((1, *FIXED_SHAPE))), FIXED
    )
    write_transform(TRANSFORMS["field"], tmp_path / "t.h5")
    count = scene.GetNumberOfNodes()
    outputs = {
        "transform": Output(results.read_transform(tmp_path / "t.h5", "T"), into=target),
        "warped": Output(fresh, into=volume),
    }
    assert results.add(scene, outputs) == {"transform": target, "warped": volume}
    assert scene.GetNumberOfNodes() == count and target.GetName() == "my transform"
    x = torch.tensor([[3.0, -8.0, 20.0]], dtype=torch.float64)
    assert np.allclose(target.GetTransformFromParent().TransformPoint(x[0].tolist()), TRANSFORMS["field"](x), atol=1e-3)
    assert np.allclose(arrays.ijk_to_ras(volume), FIXED) and volume.GetParentTransformNode() is None


def test_nothing_is_added_when_one_output_cannot_take_its_result(tmp_path):
    scene = nodes.new_scene()
    linear = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "linear only")
    write_transform(TRANSFORMS["field"], tmp_path / "t.h5")
    outputs = {
        "inverse": Output(results.read_transform(tmp_path / "t.h5", "inverse")),
        "transform": Output(results.read_transform(tmp_path / "t.h5", "T"), into=linear),
    }
    before = nodes.state(scene)
    with pytest.raises(RegistrationError, match='"linear only" can hold linear transforms only'):
        results.add(scene, outputs)
    assert nodes.state(scene) == before


def test_a_failure_while_adding_takes_everything_out_again(tmp_path, monkeypatch):
    scene = nodes.new_scene()
    write_transform(TRANSFORMS["linear"], tmp_path / "t.h5")
    outputs = {n: Output(results.read_transform(tmp_path / "t.h5", n)) for n in ("first", "second")}
    before = nodes.state(scene)

    def fail(node, like):
        if node.GetName() == "second":
            raise MemoryError

    monkeypatch.setattr(results, "_dress", fail)
    with pytest.raises(MemoryError):
        results.add(scene, outputs)
    assert nodes.state(scene) == before


@pytest.mark.parametrize("content", [None, b"", b"not a transform"])
@pytest.mark.parametrize("read, name", [(results.read_transform, "transform.h5"), (results.read_volume, "w.nii.gz")])
def test_a_missing_or_damaged_result_is_one_sentence(tmp_path, content, read, name):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RegistrationError, match=name) as error:
        read(tmp_path / name, "x")
    assert "run " in str(error.value) and str(error.value).count(". ") == 0


def test_a_volume_has_no_points_to_carry():
    scene = nodes.new_scene()
    with pytest.raises(RegistrationError, match='"ct" holds no points'):
        results.carry(nodes.volume(scene), results.linear_node(np.eye(4), "i"), "x")


def test_an_existing_point_list_takes_the_carried_points_and_their_labels():
    scene = nodes.new_scene()
    moving, target = nodes.markups(scene, [[1, 2, 3], [4, 5, 6]]), nodes.markups(scene, [[0, 0, 0]] * 5, "mine")
    nodes.linear_parent(scene, target)
    carried = results.carry(moving, results.linear_node(np.linalg.inv(nodes.MOTION), "inverse"), "carried")
    results.add(scene, {"points": Output(carried, into=target)})
    assert np.allclose(_world(target), nodes.apply(np.linalg.inv(nodes.MOTION), _world(moving)))
    assert [target.GetNthControlPointLabel(n) for n in range(2)] == ["p0", "p1"] and target.GetName() == "mine"


def _added(scene, transform, folder):
    write_transform(transform, folder / "transform.h5")
    return results.add(scene, {"t": Output(results.read_transform(folder / "transform.h5", "T"))})["t"]


def _world(node):
    """(N, 3) RAS mm of the points where Slicer shows them."""
    if node.IsA("vtkMRMLMarkupsNode"):
        return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())])
    copy = slicer.vtkMRMLModelNode()
    copy.SetAndObservePolyData(node.GetPolyData())
    if node.GetParentTransformNode() is not None:
        copy.ApplyTransform(node.GetParentTransformNode().GetTransformToParent())
    return arrays.from_vtk_points(copy.GetPolyData().GetPoints())
