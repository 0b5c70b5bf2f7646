"""A cloud of voxels: splatted on its own grid, it is the image again."""

from __future__ import annotations

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.ops import splat
from DiffRegLib.points.extract import cloud_of
from DiffRegLib.points.options import CloudOptions

VOXELS = CloudOptions(feature="voxels", points=100_000)


def image(values: torch.Tensor) -> Image:
    affine = torch.tensor([[-2.0, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]], dtype=torch.float64)
    return Image(values[None], affine)


def test_splatted_it_is_the_image():
    """At voxel centers the trilinear weights are 1 and 0; what weighs less than a twentieth is left out."""
    values = torch.rand(12, 10, 8, generator=torch.Generator().manual_seed(0))
    values[values < 0.1] = 0
    values[0, 0, :4] = 1.0
    seen = image(values)
    cloud = cloud_of(seen, VOXELS)
    back = splat(seen.normalize(cloud.points)[None], cloud.weights[None, None], seen.shape)[0, 0]
    low, high = torch.quantile(values, torch.tensor([0.01, 0.99]))
    wanted = ((values - low) / (high - low)).clamp(0, 1)
    torch.testing.assert_close(back, torch.where(wanted > 0.05, wanted, 0.0), rtol=0, atol=1e-4)


def test_a_large_image_is_averaged_and_stays_where_it_is():
    """A ball's center of mass is that of its cloud, whatever the number of points."""
    lattice = Geometry.around(torch.tensor([[-20.2, -20.0, -20.0], [19.8, 20.0, 20.0]]), 1.0)
    center = torch.tensor([-3.0, 1.0, 4.0])
    ball = ((lattice.grid() - center).norm(dim=-1) < 9).float()
    for count in (100_000, 8000, 1000):
        cloud = cloud_of(Image(ball[None], lattice.affine), CloudOptions(feature="voxels", points=count))
        mean = (cloud.weights[:, None] * cloud.points).sum(0) / cloud.weights.sum()
        assert (mean - center).norm() < 0.3
        assert len(cloud) <= count


def test_a_mask_leaves_out():
    values = torch.rand(8, 8, 8) + 0.5
    mask = torch.zeros(8, 8, 8)
    mask[:, :, :4] = 1
    cloud = cloud_of(image(values), VOXELS, Image(mask[None], image(values).affine))
    assert 0 < len(cloud) <= 8 * 8 * 4 and cloud.points[:, 0].min() > 30 - 2 * 3.5


def test_what_has_no_values_is_refused():
    with pytest.raises(RegistrationError, match="is a label map"):
        cloud_of(Image(torch.ones(1, 8, 8, 8, dtype=torch.int32), torch.eye(4, dtype=torch.float64)), VOXELS)
