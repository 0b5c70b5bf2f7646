"""Rigid motions: the exponential of a turn, and the geodesic distance with its gradient."""

import math

import pytest
import torch

from DiffRegLib.transforms import rigid
from DiffRegLib.transforms.se3 import geodesic, perturbed, rotation_exp

CENTER = torch.tensor([3.5, 129.8, 212.8], dtype=torch.float64)
AXIS = torch.nn.functional.normalize(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), dim=0)


def poses(count=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    numbers = torch.randn(count, 6, generator=random, dtype=torch.float64) * torch.tensor([25.0] * 3 + [30.0] * 3)
    return torch.stack([rigid(n[:3], n[3:], CENTER).matrix for n in numbers])


def test_the_exponential_turns_about_the_vector_by_its_length():
    turned = rotation_exp(AXIS * math.pi / 2)
    torch.testing.assert_close(turned @ AXIS, AXIS, atol=1e-14, rtol=0)
    across = torch.linalg.cross(AXIS, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(turned @ across, torch.linalg.cross(AXIS, across), atol=1e-14, rtol=0)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-6, 5e-5, 1e-3, 1.0])
def test_the_exponential_has_first_and_second_derivatives_also_at_rest(scale):
    vector = (AXIS * scale).requires_grad_()
    assert torch.autograd.gradcheck(rotation_exp, (vector,), eps=1e-6, atol=1e-7)
    assert torch.autograd.gradgradcheck(rotation_exp, (vector,), eps=1e-6, atol=1e-7)


def test_the_distance_of_a_turn_and_of_a_shift_is_their_length():
    here = poses(1)[0]
    moved = perturbed(here, torch.cat((AXIS * 0.4, torch.zeros(3, dtype=torch.float64))), CENTER)
    assert geodesic(moved, here, CENTER, 100.0)[0].sqrt().item() == pytest.approx(40.0)
    moved = perturbed(here, torch.tensor([0.0, 0, 0, 3, 4, 12], dtype=torch.float64), CENTER)
    assert geodesic(moved, here, CENTER, 100.0)[0].sqrt().item() == pytest.approx(13.0)
    assert geodesic(here, here, CENTER, 100.0)[0].item() == pytest.approx(0, abs=1e-20)


def test_the_distance_is_left_invariant_symmetric_and_keeps_the_triangle_inequality():
    a, b, c = poses(8, 1), poses(8, 2), poses(8, 3)
    world = rigid([50.0, 20.0, -80.0], [100.0, -30.0, 7.0]).matrix
    distance, _ = geodesic(a, b, CENTER, 80.0)
    torch.testing.assert_close(geodesic(world @ a, world @ b, CENTER, 80.0)[0], distance)
    torch.testing.assert_close(geodesic(b, a, CENTER, 80.0)[0], distance)
    detour = geodesic(a, c, CENTER, 80.0)[0].sqrt() + geodesic(c, b, CENTER, 80.0)[0].sqrt()
    assert (distance.sqrt() <= detour + 1e-9).all()


def test_the_gradient_is_that_of_finite_differences():
    a, b = poses(6, 1), poses(6, 2)
    _, gradient = geodesic(a, b, CENTER, 80.0)
    for k in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[k] = 1e-5
        ahead, back = (geodesic(perturbed(a, s * step, CENTER), b, CENTER, 80.0)[0] for s in (1, -1))
        torch.testing.assert_close((ahead - back) / 2e-5, gradient[:, k], atol=1e-4, rtol=1e-7)


def test_the_gradient_is_that_of_autograd():
    twist = torch.zeros(6, 6, dtype=torch.float64, requires_grad=True)
    squared, gradient = geodesic(perturbed(poses(6, 1), twist, CENTER), poses(6, 2), CENTER, 80.0)
    (automatic,) = torch.autograd.grad(squared.sum(), twist)
    torch.testing.assert_close(automatic, gradient.detach(), atol=1e-8, rtol=1e-8)


def test_against_the_gradient_the_distance_falls_to_zero_along_the_shortest_way():
    a, b = poses(1, 1)[0], poses(1, 2)[0]
    start, gradient = geodesic(a, b, CENTER, 80.0)
    metric = torch.tensor([80.0**2] * 3 + [1.0] * 3, dtype=torch.float64)
    natural = gradient / metric / 2
    half = perturbed(a, -natural / 2, CENTER)
    assert geodesic(half, b, CENTER, 80.0)[0].sqrt().item() == pytest.approx(start.sqrt().item() / 2)
    assert geodesic(perturbed(a, -natural, CENTER), b, CENTER, 80.0)[0].item() == pytest.approx(0, abs=1e-16)


def test_geomstats_measures_the_same_distance_and_gradient():
    """Its metric takes the Frobenius norm of a turn's generator, sqrt(2) times that of the rotation vector."""
    pytest.importorskip("geomstats.geometry.special_euclidean", exc_type=ImportError)
    from geomstats.geometry.special_euclidean import SpecialEuclidean

    a, b = poses(6, 1), poses(6, 2)
    squared, gradient = geodesic(a, b, torch.zeros(3, dtype=torch.float64), math.sqrt(2))
    metric = SpecialEuclidean(n=3, equip=True).metric
    torch.testing.assert_close(squared, torch.from_numpy(metric.squared_dist(a.numpy(), b.numpy())))
    descent = torch.from_numpy(metric.log(b.numpy(), a.numpy()))  # tangent at a, half of the negative gradient
    turn = descent[:, :3, :3] @ a[:, :3, :3].transpose(1, 2)
    theirs = torch.stack((turn[:, 2, 1], turn[:, 0, 2], turn[:, 1, 0], *descent[:, :3, 3].unbind(1)), 1)
    metric_of_turns = torch.tensor([2.0] * 3 + [1.0] * 3, dtype=torch.float64)
    torch.testing.assert_close(gradient, -2 * metric_of_turns * theirs)
