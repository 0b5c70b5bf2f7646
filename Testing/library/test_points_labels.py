"""Label borders: points on the true surface, weights that sum to its area."""

import math

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.points.labels import border_elements, cloud_from_labels

CENTER = torch.tensor([12.0, -30.0, 55.0])


def sphere_map(radius: float, spacing=(1.5, 1.5, 2.5), value: int = 3, size=(40, 56, 56)) -> Image:
    """A ball in an oblique, anisotropic grid."""
    angle = math.radians(20)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = turn.double() @ torch.diag(torch.tensor(spacing, dtype=torch.float64))
    middle = (torch.tensor(size[::-1], dtype=torch.float64) - 1) / 2
    affine[:3, 3] = CENTER.double() - affine[:3, :3] @ middle
    empty = Image(torch.zeros(1, *size), affine)
    inside = (empty.grid() - CENTER).norm(dim=-1) <= radius
    return Image(inside[None].float() * value, affine)


def test_points_lie_within_half_a_voxel_of_a_sphere():
    image = sphere_map(25.0)
    cloud = cloud_from_labels(image, points_per_label=1500)

    error = (cloud.points - CENTER).norm(dim=1) - 25.0
    assert len(cloud) == 1500
    assert error.abs().max() < 0.5 * 2.5
    assert error.abs().mean() < 0.25 * 1.5  # what voxel faces alone would give: uniform within half a voxel
    assert abs(error.mean()) < 0.1


@pytest.mark.parametrize("radius", [12.0, 25.0])
def test_border_elements_sum_to_the_area_of_a_sphere(radius):
    _, area = border_elements(sphere_map(radius), 3)
    assert float(area.sum()) == pytest.approx(4 * math.pi * radius**2, rel=0.05)


def test_points_spread_evenly_and_weights_have_mean_one():
    cloud = cloud_from_labels(sphere_map(25.0), points_per_label=1000)

    northern = (cloud.points[:, 2] > CENTER[2]).float()
    assert float(northern.mean()) == pytest.approx(0.5, abs=0.03)
    assert float((northern * cloud.weights).sum() / cloud.weights.sum()) == pytest.approx(0.5, abs=0.02)
    assert float(cloud.weights.mean()) == pytest.approx(1.0, abs=1e-5)
    assert float(cloud.weights.std()) < 0.4


def test_each_label_has_its_channel_and_its_own_points():
    image = sphere_map(25.0)
    left = image.grid()[..., 0] < CENTER[0]
    halves = Image(torch.where(left & (image.data[0] > 0), 8.0, image.data[0])[None], image.affine)
    cloud = cloud_from_labels(halves, points_per_label=600)

    assert cloud.labels == (3, 8)
    assert torch.bincount(cloud.channels).tolist() == [600, 600]
    voxel = 1.5
    assert cloud.points[cloud.channels == 1, 0].max() < CENTER[0] + voxel
    assert cloud.points[cloud.channels == 0, 0].min() > CENTER[0] - voxel


def test_where_the_image_cuts_a_label_there_is_no_border():
    image = sphere_map(25.0)
    cut = Image(image.data[:, : image.shape[0] // 2].clone(), image.affine)
    points, area = border_elements(cut, 3)

    last = float(cut.to_world(torch.tensor([0.0, 0.0, cut.shape[0] - 1]).double())[2])
    flat = (points[:, 2] > last - 0.1) & ((points - CENTER)[:, :2].norm(dim=1) < 20)
    assert not flat.any()
    assert float(area.sum()) == pytest.approx(2 * math.pi * 25.0**2, rel=0.06)


def test_only_the_wanted_labels_are_taken():
    image = sphere_map(12.0)
    assert cloud_from_labels(image, 100, labels=(3,)).labels == (3,)
    with pytest.raises(RegistrationError, match="liver.nii.gz has no label 5: choose among 3"):
        cloud_from_labels(image, 100, labels=(5,), name="liver.nii.gz")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (torch.zeros(1, 8, 8, 8), "has no labels"),
        (torch.full((1, 8, 8, 8), 0.5), "is no label map"),
        (torch.zeros(2, 8, 8, 8), "is no label map"),
        (torch.ones(1, 8, 8, 8), "Label 1 of liver.nii.gz fills the image"),
    ],
)
def test_maps_without_borders_are_refused(data, complaint):
    with pytest.raises(RegistrationError, match=complaint) as error:
        cloud_from_labels(Image(data, torch.eye(4, dtype=torch.float64)), name="liver.nii.gz")
    assert "liver.nii.gz" in str(error.value)


@pytest.mark.parametrize("thin", [(6, 6, 6), (6, slice(2, 10), slice(2, 10)), (slice(2, 10), 6, 6)])
def test_labels_one_voxel_thin_have_points_around_them(thin):
    data = torch.zeros(1, 12, 12, 12)
    data[(0, *thin)] = 1
    points, _ = border_elements(Image(data, torch.eye(4, dtype=torch.float64)), 1)

    across = [axis for axis, extent in zip((2, 1, 0), thin, strict=True) if isinstance(extent, int)]
    distance = (points[:, across] - 6).norm(dim=1)
    assert len(points) >= 6
    assert distance.max() < 1.7 and distance.median() > 0.3
