"""Flow and determinants: the kernels against their references, and both against what is known."""

import math

import pytest
import torch

from DiffRegLib.ops.fields import flow, least_determinant, read


def swirl(n=12):
    """(3, n, n, n): turning about the k axis through the middle, a quarter turn a unit of time."""
    axis = torch.arange(float(n)) - (n - 1) / 2
    k, j, i = torch.meshgrid(axis, axis, axis, indexing="ij")
    return math.pi / 2 * torch.stack((-j, i, 0 * k))


RAMP = torch.tensor([[2.0, -3.0, 5.0], [0.5, 0.25, -1.0]])
"""Two channels that rise by this a voxel along i, j, k."""


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("shape", [(5, 7, 6), (1, 7, 6), (5, 1, 1), (1, 1, 1)])
def test_a_ramp_is_read_between_its_voxels_and_ends_at_the_box(backend, shape):
    k, j, i = torch.meshgrid(*(torch.arange(float(n)) for n in shape), indexing="ij")
    volume = torch.einsum("ca,a...->c...", RAMP, torch.stack((i, j, k)))
    size = torch.tensor(shape[::-1]).float()
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(300, 3, generator=generator) * (size + 3) - 2
    points[0] = torch.nan
    expected = RAMP @ points.clamp(min=0).minimum(size - 1).T  # NaN stays
    inside = ((points >= -0.5) & (points <= size - 0.5)).all(1)
    assert 0 < int(inside.sum()) < 300
    affine = torch.tensor([[0.0, 2, 0, 3], [-1, 0, 0, 5], [0, 0, 4, -2], [0, 0, 0, 1]])
    world = torch.linalg.solve(affine[:3, :3], (points - affine[:3, 3]).T).T
    found = read(volume, world, affine, -7.0, backend)
    torch.testing.assert_close(found, torch.where(inside, expected, -7.0), atol=2e-5, rtol=0)
    torch.testing.assert_close(read(volume, points[1:], backend=backend), expected[:, 1:], atol=2e-5, rtol=0)
    assert read(volume, points[:1], backend=backend).isfinite().all()


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_rotating_field_turns_points_and_back(backend):
    middle = torch.tensor([5.5, 5.5, 5.5])
    points = middle + torch.tensor([[3.0, 0.0, 1.0], [0.0, -2.0, 2.0]])
    expected = middle + torch.tensor([[0.0, 3.0, 1.0], [2.0, 0.0, 2.0]])
    turned = flow(swirl(), points, 16, backend=backend)
    torch.testing.assert_close(turned, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(flow(swirl(), turned, 16, -1.0, backend), points, atol=1e-3, rtol=0)


def test_kernel_and_reference_of_the_flow_agree_inside_and_beyond_the_grid():
    generator = torch.Generator().manual_seed(0)
    velocity = torch.randn(3, 7, 5, 6, generator=generator)
    points = 12 * torch.rand(500, 3, generator=generator) - 3
    found = [flow(velocity, points, 4, backend=backend) for backend in ("reference", "cpu")]
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_kernel_and_reference_of_the_determinant_agree_on_an_oblique_grid():
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(3, 6, 5, 7, generator=generator)
    axes = torch.tensor([[2.0, 0.3, 0.0], [-0.2, 1.5, 0.1], [0.1, 0.0, -3.0]])
    found = [least_determinant(field, axes, backend) for backend in ("reference", "cpu")]
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)
