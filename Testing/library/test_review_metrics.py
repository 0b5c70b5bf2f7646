"""Measures whose value is known beforehand."""

import json
import math

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.phantom import breathing_phantom
from DiffRegLib.review.metrics import (
    ErrorSummary,
    dice,
    folding,
    inverse_consistency,
    mean_dice,
    surface_distance,
    target_registration_error,
)
from DiffRegLib.review.report import measure
from DiffRegLib.transforms import Affine, DisplacementField, rigid


def translation(x, y, z):
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor([x, y, z], dtype=torch.float64)
    return Affine(matrix)


def cube(shift=0):
    """A label map with a cube of 10 voxels, moved by `shift` voxels along i."""
    data = torch.zeros(1, 30, 30, 30)
    data[:, 10:20, 10:20, 10 + shift : 20 + shift] = 3
    return Image(data, torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))


def test_error_of_a_translation_is_its_length():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    errors = target_registration_error(translation(3, 4, 0), points, points)
    assert torch.allclose(errors, torch.full((20,), 5.0, dtype=torch.float64))
    assert target_registration_error(translation(3, 4, 0), points, points + torch.tensor([3.0, 4, 0])).max() < 1e-5


def test_summary_of_the_numbers_0_to_100():
    summary = ErrorSummary.of(torch.arange(101.0).flip(0))
    assert summary == ErrorSummary(count=101, mean=50.0, sd=math.sqrt(850), median=50.0, p90=90.0, max=100.0)


def test_landmarks_that_do_not_pair_are_refused():
    with pytest.raises(RegistrationError, match="equal length"):
        target_registration_error(translation(0, 0, 0), torch.zeros(3, 3), torch.zeros(4, 3))


def test_dice_of_cubes_that_overlap_by_seven_tenths():
    assert dice(cube(), cube()) == {3: 1.0}
    assert dice(cube(), cube(3))[3] == pytest.approx(0.7)
    result = dice(cube(), cube(), [3, 9])
    assert math.isnan(result[9]) and mean_dice(result) == 1.0
    with pytest.raises(RegistrationError, match="same grid"):
        dice(cube(), Image(cube().data, torch.eye(4)))


def test_measures_of_the_translation_that_aligns_two_cubes():
    landmarks = torch.tensor([[20.0, 20, 20], [38.0, 38, 38]])
    moved = landmarks + torch.tensor([6.0, 0, 0])
    found = measure(translation(6, 0, 0), cube(), (landmarks, moved), (cube(), cube(3)))
    assert found.landmarks.before.mean == pytest.approx(6.0)
    assert found.landmarks.after.max < 1e-6
    assert found.overlap.before[3] == pytest.approx(0.7) and found.overlap.after[3] == 1.0
    assert found.folding.percent == 0 and found.folding.minimum == pytest.approx(1.0, abs=1e-4)
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["landmarks"]["before_mm"]["mean"] == pytest.approx(6.0)
    assert stored["landmarks"]["count"] == 2
    assert stored["dice"]["labels"]["3"]["after"] == 1.0


def test_a_reflection_folds_everywhere_and_a_scaling_has_its_determinant():
    geometry = Geometry((8, 8, 8), torch.eye(4))
    mirror = Affine(torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64)))
    assert folding(mirror, geometry).percent == 100.0
    scaling = Affine(torch.diag(torch.tensor([2.0, 1.5, 0.5, 1], dtype=torch.float64)))
    found = folding(scaling, geometry)
    assert (found.percent, found.log_deviation) == (0.0, pytest.approx(0.0, abs=1e-5))
    assert found.minimum == pytest.approx(1.5, rel=1e-4) and found.maximum == pytest.approx(1.5, rel=1e-4)


def test_mask_confines_where_folding_is_counted():
    geometry = Geometry((20, 20, 20), torch.eye(4))
    x = geometry.grid()[..., 0]
    field = torch.zeros(3, 20, 20, 20)
    field[0] = torch.where(x > 9.5, -2 * (x - 9.5), 0.0)  # x -> 19 - x: a fold in one half
    transform = DisplacementField(Image(field, geometry.affine))
    mask = Image((x < 8).float()[None], geometry.affine)
    assert 40 < folding(transform, geometry).percent < 60
    assert folding(transform, geometry, mask).percent == 0
    with pytest.raises(RegistrationError, match="mask is empty"):
        folding(transform, geometry, Image(torch.zeros(1, 20, 20, 20), geometry.affine))


def test_inverse_consistency_of_a_rotation_and_of_a_wrong_inverse():
    points = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50
    turn = rigid((10.0, 20.0, 30.0), (5.0, 0.0, -3.0), torch.zeros(3))
    assert inverse_consistency(turn, turn.inverse(), points).max < 1e-9
    wrong = turn.inverse() @ translation(0.0, 0.0, 2.0)
    assert inverse_consistency(turn, wrong, points).mean == pytest.approx(2.0)


def test_distance_between_two_spheres_is_the_difference_of_their_radii():
    direction = torch.randn(20000, 3, generator=torch.Generator().manual_seed(2))
    direction = direction / direction.norm(dim=1, keepdim=True)
    found = surface_distance(50 * direction, 53 * direction)
    assert found.mean == pytest.approx(3.0, abs=0.05)
    assert found.hausdorff95 == pytest.approx(3.0, abs=0.05)


def test_true_motion_of_the_phantom_has_no_error():
    phantom = breathing_phantom(spacing=6.0)
    landmarks = (phantom.fixed.landmarks, phantom.moving.landmarks)
    found = measure(phantom.transform, phantom.fixed.image, landmarks, (phantom.fixed.labels, phantom.moving.labels))
    assert found.landmarks.before.mean == pytest.approx(15, abs=1.5) and found.landmarks.after.max < 1e-9
    for organ in (2, 3, 5):
        assert found.overlap.after[organ] > 0.95 > found.overlap.before[organ]
    assert found.folding.percent == 0
