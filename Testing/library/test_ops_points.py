"""Splat and sample against theory: torch's own sampling, adjointness, conservation, finite differences."""

import pytest
import torch
import torch.nn.functional as F

from DiffRegLib.ops import sample, splat

SHAPE = (4, 5, 6)


def scattered(count, batch=2, channels=3, dtype=torch.float64, reach=1.2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = (torch.rand(batch, count, 3, generator=generator, dtype=torch.float64) * 2 - 1) * reach
    values = torch.randn(batch, channels, count, generator=generator, dtype=torch.float64)
    volume = torch.randn(batch, channels, *SHAPE, generator=generator, dtype=torch.float64)
    return points.to(dtype), values.to(dtype), volume.to(dtype)


def away_from_kinks(points, shape=SHAPE, margin=0.05):
    """Moves points off the cell faces, where a trilinear function has no derivative."""
    size = torch.tensor(shape[::-1], dtype=points.dtype)
    voxel = ((points + 1) * size - 1) / 2
    cell = voxel.floor()
    return 2 * (cell + (voxel - cell).clamp(margin, 1 - margin) + 0.5) / size - 1


def test_sample_equals_torch_grid_sample_inside_and_outside():
    points, _, volume = scattered(200, reach=1.5)
    expected = F.grid_sample(volume, points[:, :, None, None], align_corners=False).flatten(2)
    torch.testing.assert_close(sample(volume, points), expected, rtol=0, atol=1e-12)


def test_a_linear_function_is_reproduced_exactly():
    k, j, i = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in SHAPE), indexing="ij")
    volume = (2 * i - 3 * j + 5 * k + 1)[None, None]
    voxel = torch.tensor([[1.25, 2.5, 0.75], [4.5, 0.125, 2.5]], dtype=torch.float64)
    points = 2 * (voxel + 0.5) / torch.tensor(SHAPE[::-1]) - 1
    expected = voxel @ torch.tensor([2.0, -3.0, 5.0], dtype=torch.float64) + 1
    torch.testing.assert_close(sample(volume, points[None])[0, 0], expected)


def test_splat_is_the_adjoint_of_sample():
    points, values, volume = scattered(300)
    left = (splat(points, values, SHAPE) * volume).sum()
    right = (sample(volume, points) * values).sum()
    torch.testing.assert_close(left, right, rtol=1e-12, atol=0)


def test_splat_conserves_the_values_of_points_inside():
    points, values, _ = scattered(500, reach=0.75)
    torch.testing.assert_close(splat(points, values, SHAPE).sum((2, 3, 4)), values.sum(2))


@pytest.mark.parametrize("far", [1e3, 1e30, float("inf"), float("-inf"), float("nan")])
def test_points_far_outside_read_and_write_zero_with_zero_gradients(far):
    _, values, volume = scattered(2)
    points = torch.zeros(2, 2, 3, dtype=torch.float64)
    points[:, :, 1] = far
    points.requires_grad_()
    assert not sample(volume, points).any()
    assert not splat(points, values, SHAPE).any()
    (sample(volume, points).sum() + splat(points, values, SHAPE).sum()).backward()
    assert not torch.nan_to_num(points.grad, nan=1.0).any()


def test_an_empty_cloud_gives_an_empty_sample_and_an_empty_grid():
    points, values, volume = scattered(0)
    assert sample(volume, points).shape == (2, 3, 0)
    assert splat(points, values, SHAPE).shape == (2, 3, *SHAPE) and not splat(points, values, SHAPE).any()


def test_gradients_in_double_precision():
    points, values, volume = scattered(7)
    points = away_from_kinks(points)
    inputs = [t.requires_grad_() for t in (points, values, volume)]
    assert torch.autograd.gradcheck(lambda p, v: splat(p, v, SHAPE), inputs[:2])
    assert torch.autograd.gradcheck(lambda p, v: sample(v, p), (inputs[0], inputs[2]))


def test_gradients_of_the_gradients_in_double_precision():
    points, values, volume = scattered(3, batch=1, channels=2)
    points = away_from_kinks(points)
    inputs = [t.requires_grad_() for t in (points, values, volume)]
    assert torch.autograd.gradgradcheck(lambda p, v: splat(p, v, SHAPE), inputs[:2])
    assert torch.autograd.gradgradcheck(lambda p, v: sample(v, p), (inputs[0], inputs[2]))


def test_operators_obey_the_rules_of_torch_library():
    points, values, volume = (t.requires_grad_() for t in scattered(5, dtype=torch.float32))
    torch.library.opcheck(torch.ops.diffreg.sample, (volume, points, "reference"))
    nothing = torch.empty(0, dtype=torch.int32)
    torch.library.opcheck(torch.ops.diffreg.splat, (points, values, list(SHAPE), False, "reference"))
    torch.library.opcheck(torch.ops.diffreg.gather, (volume, points, values, nothing, "reference"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, v, g: sample(g, p[0]), "points"),
        (lambda p, v, g: sample(g[:1], p), "volume"),
        (lambda p, v, g: splat(p, v[:, :, :-1], SHAPE), "values"),
        (lambda p, v, g: splat(p, v, (4, 5)), "shape"),
        (lambda p, v, g: sample(g.long(), p), "floating"),
    ],
)
def test_shapes_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*scattered(4))
