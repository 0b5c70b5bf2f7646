"""Thinning: farthest points cover evenly, weights keep their sum, and the seed decides."""

import pytest
import torch
from scipy.spatial import cKDTree

from DiffRegLib.errors import RegistrationError
from DiffRegLib.points.sampling import farthest_points, thin


def crowded_cube() -> torch.Tensor:
    """Nine of ten points crowd into a corner of a 100 mm cube."""
    generator = torch.Generator().manual_seed(1)
    sparse = torch.rand(2000, 3, generator=generator) * 100
    return torch.cat([sparse, torch.rand(18000, 3, generator=generator) * 10])


def test_farthest_points_are_as_far_apart_as_the_hole_they_leave():
    points = crowded_cube()
    chosen = points[farthest_points(points, 300)]

    closest = cKDTree(chosen.numpy()).query(chosen.numpy(), k=2)[0][:, 1].min()
    hole = cKDTree(chosen.numpy()).query(points.numpy())[0].max()
    assert closest >= hole - 1e-3  # the greedy rule: no point is nearer than the widest hole that is left
    assert (chosen.amax(1) > 10).float().mean() > 0.95


def test_farthest_points_are_distinct_and_repeatable():
    points = crowded_cube()
    first = farthest_points(points, 500, seed=3)

    assert len(torch.unique(first)) == 500
    assert torch.equal(first, farthest_points(points, 500, seed=3))
    assert not torch.equal(first, farthest_points(points, 500, seed=4))


def test_all_points_are_kept_when_as_many_are_wanted():
    points = crowded_cube()[:50]
    assert torch.equal(farthest_points(points, 50), torch.arange(50))


def test_no_points_wanted_is_an_error():
    with pytest.raises(RegistrationError, match="at least one"):
        farthest_points(crowded_cube(), 0)


def test_thinning_keeps_the_total_weight_and_gives_it_to_the_nearest():
    left = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    right = torch.tensor([[90.0, 0, 0]])
    points, weights = thin(torch.cat([left, right]), torch.tensor([1.0, 2, 3, 4]), 2)

    by_place = dict(zip((points[:, 0] > 50).tolist(), weights.tolist(), strict=True))
    assert by_place == {False: 6.0, True: 4.0}
