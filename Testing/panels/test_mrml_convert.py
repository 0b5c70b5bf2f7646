"""Nodes and tensors: there and back without loss, with the parents applied, against the library's own meaning."""

# ruff: noqa: E402
import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image, from_itk
from DiffRegLib.mrml import arrays, convert
from DiffRegLib.transforms import Affine, BSpline, Composite, DisplacementField, VelocityField
from Testing.library.geometry import oblique_geometry, smooth_field
from Testing.panels import mrml_nodes as nodes

AFFINE = Affine(torch.from_numpy(nodes.MOTION))
FIELD = DisplacementField(smooth_field(oblique_geometry()))
SPLINE = BSpline(smooth_field(oblique_geometry((9, 8, 7), (8.0, 9.0, 10.0))))
TRANSFORMS = {
    "affine": AFFINE,
    "field": FIELD,
    "bspline": SPLINE,
    "affine after field": AFFINE @ FIELD,
    "field after affine": FIELD @ AFFINE,
    "three": SPLINE @ AFFINE @ FIELD,
}


def _points_inside(image, count=200, margin=2):
    """Random RAS mm inside a grid, `margin` voxels from its border."""
    generator = torch.Generator().manual_seed(0)
    unit = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    return image.to_world(margin + unit * (image.size - 1 - 2 * margin))


def test_an_image_is_what_simpleitk_reads_from_slicers_file(tmp_path):
    import SimpleITK as sitk

    scene = nodes.new_scene()
    node = nodes.volume(scene, dtype=np.int16)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(tmp_path / "ct.nrrd"))
    assert storage.WriteData(node)
    expected, found = from_itk(sitk.ReadImage(str(tmp_path / "ct.nrrd"))), convert.to_image(node)
    assert torch.equal(found.data, expected.data) and torch.allclose(found.affine, expected.affine, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_comes_back_from_its_node_unchanged(channels):
    data = torch.randn(channels, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    image = Image(data, torch.from_numpy(nodes.oblique_affine()))
    scene = nodes.new_scene()
    back = convert.to_image(scene.AddNode(convert.from_image(image, "x")))
    assert torch.equal(back.data, data) and torch.allclose(back.affine, image.affine, atol=1e-9)


def test_an_image_under_a_transform_is_where_it_is_seen_and_owns_its_voxels():
    scene = nodes.new_scene()
    node = nodes.volume(scene)
    nodes.linear_parent(scene, node)
    image = convert.to_image(node)
    world = nodes.apply(nodes.MOTION, nodes.apply(nodes.oblique_affine(), np.array([3.0, 4.0, 5.0])))
    assert np.allclose(image.to_world(torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64)), world)
    image.data.fill_(-1)
    assert arrays.voxels(node.GetImageData()).max() > 0


def test_a_label_map_keeps_whole_numbers_and_its_class():
    labels = torch.zeros(1, 3, 4, 5)
    labels[0, 1, 2, 3] = 300
    node = convert.from_image(Image(labels, torch.from_numpy(nodes.oblique_affine())), "labels", labels=True)
    assert node.IsA("vtkMRMLLabelMapVolumeNode") and "int" in node.GetImageData().GetScalarTypeAsString()
    assert torch.equal(convert.to_image(node).data, labels)


def test_a_segmentation_becomes_labels():
    scene = nodes.new_scene()
    node = nodes.segmentation(scene, {"liver": (3, 5, 2, 6, 1, 2), "spleen": (0, 0, 0, 0, 0, 0)})
    image = convert.to_image(node, {"liver": 4, "spleen": 9})
    values, counts = image.data.unique(return_counts=True)
    assert values.tolist() == [0, 4, 9] and counts[1:].tolist() == [30, 1]
    at = image.to_world((image.data[0] == 9).nonzero()[0].flip(0).double())
    assert np.allclose(at, nodes.oblique_affine()[:3, 3])


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_a_transform_node_does_what_the_transform_does_and_comes_back_without_loss(kind):
    transform, scene = TRANSFORMS[kind], nodes.new_scene()
    node = scene.AddNode(convert.from_transform(transform, kind))
    x = _points_inside(SPLINE.image)
    expected = transform(x)
    assert np.abs(arrays.map_points(node.GetTransformFromParent(), x.numpy()) - expected.numpy()).max() < 1e-4
    back = convert.to_transform(node)
    assert (back(x) - expected).abs().max() < 1e-9 and type(back) is type(transform)
    assert node.IsA("vtkMRMLLinearTransformNode") == (kind == "affine")


def test_a_velocity_field_becomes_the_displacement_of_its_flow():
    velocity = VelocityField(smooth_field(oblique_geometry((20, 20, 20), (3.0, 3.0, 3.0))))
    node = convert.from_transform(velocity, "flow")
    x = _points_inside(velocity.image, margin=5)
    assert np.abs(arrays.map_points(node.GetTransformFromParent(), x.numpy()) - velocity(x).numpy()).max() < 0.1


def test_a_transform_under_another_is_taken_with_it():
    scene = nodes.new_scene()
    inner = scene.AddNode(convert.from_transform(FIELD, "inner"))
    outer = scene.AddNode(convert.from_transform(AFFINE, "outer"))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    x = _points_inside(FIELD.image)
    found = convert.to_transform(inner)
    assert isinstance(found, Composite) and (found(x) - FIELD(AFFINE(x))).abs().max() < 1e-9


def test_an_inverted_node_is_the_inverse():
    scene = nodes.new_scene()
    affine = scene.AddNode(convert.from_transform(AFFINE, "affine"))
    affine.Inverse()
    x = _points_inside(FIELD.image)
    assert (convert.to_transform(affine)(x) - AFFINE.inverse()(x)).abs().max() < 1e-9
    field = scene.AddNode(convert.from_transform(FIELD, "field"))
    field.Inverse()
    with pytest.raises(RegistrationError, match='"field" has no closed form in this direction'):
        convert.to_transform(field)
    low, high = x.min(0).values.numpy(), x.max(0).values.numpy()
    there_and_back = FIELD(convert.to_transform(field, (low - 5, high + 5))(x))
    assert (there_and_back - x).abs().max() < 0.05 and (FIELD(x) - x).norm(dim=1).max() > 2


def test_a_point_list_holds_the_points_and_their_labels():
    points = torch.tensor([[1.0, 2.0, 3.0], [-4.0, 5.0, -6.0]], dtype=torch.float64)
    node = nodes.new_scene().AddNode(convert.from_points(points, "landmarks", ("a", "b")))
    assert [list(node.GetNthControlPointPositionWorld(n)) for n in range(2)] == points.tolist()
    assert node.GetNthControlPointLabel(1) == "b"
