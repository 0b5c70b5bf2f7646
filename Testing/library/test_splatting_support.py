"""Where data drive the field of splatting, and what the field does where none do."""

import dataclasses

import pytest
import torch

from DiffRegLib.geometry import Geometry
from DiffRegLib.methods.splatting import SplattingOptions, register
from DiffRegLib.points import PointCloud
from DiffRegLib.points.nearest import distance_map, nearest
from DiffRegLib.transforms.folds import least_determinant

QUICK = SplattingOptions(
    initialization="none", affine_iterations=0, search=False, fine_iterations=15, coarse_iterations=15, voxel=4.0
)
REACH = 12.0  # half of a kernel of 3 control points of 8 mm
FADE = 36.0


def shell(count=500):
    """(N, 3) points on an ellipsoid about the origin, and the same, bent by up to 8 mm."""
    directions = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    points = directions / directions.norm(dim=1, keepdim=True) * torch.tensor([30.0, 40.0, 50.0])
    return points, points + 8 * torch.sin(points.roll(1, 1) / 25)


@pytest.fixture(scope="module")
def both():
    """The registration with each choice of what is outside."""
    fixed, moving = map(PointCloud.plain, shell())
    return [register(fixed, moving, dataclasses.replace(QUICK, outside=o)) for o in ("extrapolate", "fade")]


def test_the_distance_to_the_nearest_point_is_that():
    points = torch.tensor([[0.0, 0, 0], [10.0, 0, 0]])
    assert nearest(torch.tensor([[3.0, 4, 0], [10.0, 0, 2]]), points).tolist() == [5.0, 2.0]
    image = distance_map(points, Geometry((1, 1, 3), torch.diag(torch.tensor([5.0, 5, 5, 1]))))
    assert image.data.flatten().tolist() == [0.0, 5.0, 0.0]


def test_support_covers_what_lies_within_reach_of_points(both):
    points, _ = shell()
    support = both[0].support
    assert support.reach == REACH
    assert bool(support.covers(points).all())
    top = points[points[:, 2].argmax()]
    ways = torch.tensor([[0.0, 0, 7], [0, 0, 20], [0, 0, 500]])  # a voxel of the map is 4 mm
    assert support.covers(top + ways).tolist() == [True, False, False]
    assert support.covers(torch.zeros(1, 3)).tolist() == [False]  # the middle of the shell


def test_a_field_that_fades_is_the_affine_far_from_all_points_and_itself_near_them(both):
    points, _ = shell()
    onward, faded = (r.transform for r in both)
    far = points[points[:, 1] > 30][:5] + torch.tensor([0.0, REACH + FADE + 24, 0.0])  # 8 of the bend, 16 of the grid
    assert (onward(far) - far).norm(dim=1).max() > 1.0
    torch.testing.assert_close(faded(far), far, atol=1e-4, rtol=0)
    torch.testing.assert_close(faded(points), onward(points), atol=0.05, rtol=0)  # by linear interpolation
    back = both[1].inverse(faded(far))
    torch.testing.assert_close(back, far, atol=1e-3, rtol=0)


def test_a_field_that_fades_does_not_fold(both):
    field = both[1].transform.transforms[0].image
    assert float(least_determinant(field).min()) > 0


def test_the_result_says_what_is_outside(both):
    assert "extrapolation" in both[0].support.outside and "fades to the affine" in both[1].support.outside
