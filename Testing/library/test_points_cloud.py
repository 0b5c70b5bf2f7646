"""The cloud itself: channels, labels, and the input it refuses."""

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.points import PointCloud


def body_points(n: int = 50) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(0)) * 40


def test_labels_become_channels_in_ascending_order():
    cloud = PointCloud.labeled(body_points(4), [7, 2, 7, 5])

    assert cloud.labels == (2, 5, 7)
    assert cloud.channels.tolist() == [2, 0, 2, 1]
    assert cloud.values.tolist() == [7, 2, 7, 5]


def test_with_labels_keeps_the_common_labels_in_the_given_order():
    points = body_points(4)
    cloud = PointCloud.labeled(points, [7, 2, 7, 5]).with_labels((7, 2))

    assert cloud.labels == (7, 2)
    assert cloud.channels.tolist() == [0, 1, 0]
    assert torch.equal(cloud.points, points[[0, 1, 2]])


def test_plain_cloud_has_unit_weights_and_one_channel():
    cloud = PointCloud.plain(body_points().double().numpy())

    assert cloud.points.dtype == torch.float32
    assert torch.equal(cloud.weights, torch.ones(50))
    assert cloud.labels == (1,) and not cloud.channels.any()


def test_a_good_cloud_passes_the_check():
    cloud = PointCloud.plain(body_points())
    assert cloud.check("lung.csv") is cloud


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        (body_points()[:9], "lung.csv has 9 points"),
        (
            body_points().index_fill(0, torch.tensor([3]), float("nan")),
            "NaN or infinite coordinates in 1 of its points",
        ),
        (
            body_points().index_fill(0, torch.tensor([3, 4]), float("inf")),
            "NaN or infinite coordinates in 2 of its points",
        ),
        (body_points() / 1000, "in meters"),
        ((body_points().abs()).round(), "voxel indices"),
        (body_points() * 1e5, "convert its coordinates to RAS millimeters"),
    ],
)
def test_points_that_cannot_be_registered_are_refused_with_the_name_of_the_file(points, complaint):
    with pytest.raises(RegistrationError, match=complaint) as error:
        PointCloud.plain(points).check("lung.csv")

    assert str(error.value).startswith("lung.csv ")
    assert "\n" not in str(error.value)


def test_whole_millimeters_around_the_origin_are_no_voxel_indices():
    PointCloud.plain(body_points().round()).check()


@pytest.mark.parametrize("weight", [float("nan"), -1.0])
def test_bad_weights_are_refused(weight):
    weights = torch.ones(50)
    weights[7] = weight
    with pytest.raises(RegistrationError, match="weights"):
        PointCloud.plain(body_points(), weights).check()


def test_points_of_another_shape_are_refused():
    with pytest.raises(RegistrationError, match=r"\(N, 3\)"):
        PointCloud.plain(torch.zeros(3, 20))
