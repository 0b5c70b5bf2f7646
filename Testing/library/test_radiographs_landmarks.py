"""Perspective-n-point: poses from clicks that were computed from them, noise, planes, and what leaves a pose open."""

import pytest
import torch

from DiffRegLib.camera import AP, c_arm
from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.landmarks import pose_from_landmarks
from DiffRegLib.transforms import Affine, rigid

ISOCENTER = torch.tensor([3.5, 129.8, 212.8], dtype=torch.float64)
CAMERA = c_arm(ISOCENTER, 1020.0, 620.0, (1.46, 1.46), (256, 256), AP)


def landmarks(count, seed=0, flat=False):
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 50
    if flat:
        points[:, 1] = 0.3 * points[:, 0] - 0.2 * points[:, 2]
    return points + ISOCENTER


def posed(seed):
    numbers = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rigid(numbers[:3] * 40, numbers[3:] * 30, ISOCENTER)


def clicks_of(points, pose):
    return CAMERA.project(pose(points))[0]


@pytest.mark.parametrize("count, flat", [(4, False), (5, False), (6, False), (12, False), (4, True), (9, True)])
def test_exact_clicks_give_the_pose_back(count, flat):
    for seed in range(4):
        points, pose = landmarks(count, seed, flat), posed(seed)
        found = pose_from_landmarks(points, clicks_of(points, pose), CAMERA)
        assert found.rms < 1e-5
        if not found.ambiguous:
            assert (found.pose(points) - pose(points)).norm(dim=1).max() < 1e-2
    assert count < 6 or not found.ambiguous


def test_clicks_that_miss_by_a_pixel_move_the_pose_as_much_as_the_geometry_lets_them():
    points, pose = landmarks(10), posed(2)
    random = torch.Generator().manual_seed(3)
    noise = torch.randn(10, 2, generator=random, dtype=torch.float64)
    found = pose_from_landmarks(points, clicks_of(points, pose) + noise, CAMERA)
    expected = (noise.square().sum() / 20 * (20 - 6) / 20).sqrt() * 2**0.5  # six of twenty residuals are fitted away
    assert found.rms == pytest.approx(expected.item(), rel=0.4)
    move = found.pose(points).mean(0) - pose(points).mean(0)
    assert (
        move[[0, 2]].norm() < 1.5 and move.norm() < 30
    )  # a pixel is 0.9 mm at the patient, depth is the weak direction


def test_the_result_is_the_minimum_of_the_distances_in_the_image():
    points, pose = landmarks(8), posed(5)
    clicks = clicks_of(points, pose) + torch.linspace(-2, 2, 16, dtype=torch.float64).reshape(8, 2)
    found = pose_from_landmarks(points, clicks, CAMERA)
    best = found.errors.square().sum()
    for k in range(6):
        for size in (-0.02, 0.02):
            step = torch.zeros(6, dtype=torch.float64)
            step[k] = size
            nearby = Affine(rigid(step[:3], step[3:], ISOCENTER).matrix @ found.pose.matrix)
            assert (clicks_of(points, nearby) - clicks).square().sum() > best


def test_an_approximate_click_of_four_points_may_be_told_as_ambiguous():
    square = torch.tensor([[-20.0, 0, -20], [20, 0, -20], [20, 0, 20], [-20, 0, 20]], dtype=torch.float64) + ISOCENTER
    pose = rigid([12.0, 0, 0], [0.0, 0, 0], ISOCENTER)
    clicks = clicks_of(square, pose)
    assert pose_from_landmarks(square, clicks, CAMERA).ambiguous


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda p, c: (p[:3], c[:3]), "at least 4"),
        (lambda p, c: (p, c[:5]), "6 landmarks and 5 clicks"),
        (lambda p, c: (p * float("nan"), c), "finite"),
        (lambda p, c: (p[:1] + torch.linspace(0, 1, 6)[:, None] * (p[1] - p[0]), c), "one line"),
        (lambda p, c: (p[:1].expand(6, 3), c), "one place"),
        (lambda p, c: (p, c[:1].expand(6, 2)), "clicks are all in one place"),
    ],
)
def test_landmarks_that_fix_no_pose_are_refused(change, words):
    points = landmarks(6)
    with pytest.raises(RegistrationError, match=words):
        pose_from_landmarks(*change(points, clicks_of(points, posed(1))), CAMERA)
