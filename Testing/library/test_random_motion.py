"""Random motion: as large as asked, without folds, the same for the same random numbers."""

from __future__ import annotations

import pytest
import torch

from DiffRegLib.dense.flow import flow
from DiffRegLib.dense.random_motion import moved_image, random_velocity
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms.folds import least_determinant

BOX = torch.tensor([[-80.0, -60.0, -100.0], [80.0, 60.0, 100.0]])


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_smaller_than_asked_and_smooth(seed):
    velocity, lattice = random_velocity(BOX, 12.0, (25.0, 25.0), draws(seed))
    assert 0 < float(velocity.std()) <= 12.0
    spacing = float(lattice.spacing[0])
    steepest = max(float(velocity.diff(dim=axis).abs().max()) for axis in (1, 2, 3)) / spacing
    assert steepest < 6 * float(velocity.std()) / 25.0  # the slope of noise blurred by s has a deviation of std / s


def test_its_flow_does_not_fold():
    velocity, lattice = random_velocity(BOX, 12.0, (20.0, 60.0), draws(3))
    grid = Geometry.around(BOX, 4.0)
    nodes = grid.grid().reshape(-1, 3)
    shift = (flow(velocity, lattice, nodes) - nodes).T.reshape(3, *grid.shape)
    assert float(least_determinant(Image(shift, grid.affine)).min()) > 0


def test_an_image_moves_by_it():
    """Of a picture of the coordinates, the moved one tells where each voxel came from."""
    grid = Geometry.around(BOX, 5.0)
    picture = Image(grid.grid().movedim(-1, 0).contiguous(), grid.affine)
    moved = moved_image(picture, 10.0, (30.0, 30.0), draws(1))
    velocity, lattice = random_velocity(grid.corners().float(), 10.0, (30.0, 30.0), draws(1))
    inside = (slice(8, -8),) * 3
    wanted = flow(velocity, lattice, grid.grid().reshape(-1, 3)).reshape(*grid.shape, 3)[inside]
    torch.testing.assert_close(moved.data.movedim(0, -1)[inside], wanted, rtol=0, atol=0.05)


def test_a_slice_stays_in_its_plane():
    affine = torch.eye(4, dtype=torch.float64)
    flat = Image(torch.rand(1, 1, 64, 64), affine)
    moved = moved_image(flat, 5.0, (10.0, 10.0), draws())
    assert moved.shape == flat.shape and not torch.equal(moved.data, flat.data)
    assert float(moved.data.max()) <= float(flat.data.max()) + 1e-6
