"""The phantom against geometry: closed-form volumes, an exact motion, anatomy on the right side."""

import math

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.phantom import LABELS, BreathingMotion, PhantomOptions, breathing_phantom, write_phantom
from DiffRegLib.phantom.anatomy import BOX, KIDNEYS
from DiffRegLib.phantom.shapes import Ellipsoid, Tubes


@pytest.fixture(scope="module")
def phantom():
    return breathing_phantom(spacing=3.0, seed=4)


def centroid(state, label):
    return state.labels.grid()[state.labels.data[0] == label].mean(0)


def random_points(count=4000, dtype=torch.float64):
    low, high = (torch.tensor(corner, dtype=dtype) - s * 40 for corner, s in zip(BOX, (1, -1), strict=True))
    generator = torch.Generator().manual_seed(0)
    return low + (high - low) * torch.rand(count, 3, dtype=dtype, generator=generator)


@pytest.mark.parametrize("amplitude", [0.0, 15.0, BreathingMotion.LIMIT])
def test_inverse_is_exact_to_a_millionth_of_a_millimeter(amplitude):
    motion, points = BreathingMotion(amplitude), random_points()
    assert (motion.inverse()(motion(points)) - points).abs().max() < 1e-9
    assert (motion(motion.inverse()(points)) - points).abs().max() < 1e-9


def test_determinant_is_that_of_the_derivative():
    motion, points = BreathingMotion(15.0), random_points(500)
    expected = torch.linalg.det(motion.jacobian(points))
    assert torch.allclose(motion.determinant(points), expected, rtol=1e-10)
    inverse = motion.inverse()
    assert torch.allclose(inverse.determinant(points), torch.linalg.det(inverse.jacobian(points)), rtol=1e-8)


def test_strongest_motion_does_not_fold_and_more_is_refused():
    grid = Geometry.around(torch.tensor(BOX), 5.0, margin=80.0)
    assert BreathingMotion(BreathingMotion.LIMIT).jacobian_determinant(grid).data.min() > 0.2
    with pytest.raises(RegistrationError, match="amplitude"):
        BreathingMotion(BreathingMotion.LIMIT + 1)


def test_far_from_the_patient_nothing_moves():
    far = torch.tensor([[900.0, 0, 0], [0, 900, 0], [0, 0, 900], [0, -900, 0], [0, 0, -900]], dtype=torch.float64)
    assert (BreathingMotion(15.0)(far) - far).norm(dim=1).max() < 1e-6


def test_landmarks_move_about_15_mm_and_exactly_by_the_motion(phantom):
    motion = phantom.moving.landmarks - phantom.fixed.landmarks
    assert motion.norm(dim=1).mean() == pytest.approx(15.0, abs=1.5)
    assert torch.equal(phantom.transform(phantom.fixed.landmarks), phantom.moving.landmarks)
    assert motion[:, 2].mean() > 10  # in expiration the diaphragm pushes the lung up


def test_organs_lie_on_the_side_where_a_patient_has_them(phantom):
    right = {"lung_right", "liver", "kidney_right"}
    left = {"lung_left", "heart", "spleen", "stomach", "kidney_left"}
    for label, name in LABELS.items():
        x = centroid(phantom.fixed, label)[0]
        assert name not in right or x > 20
        assert name not in left or x < -10
    assert centroid(phantom.fixed, 11)[1] < -50  # the spine is posterior
    assert centroid(phantom.fixed, 5)[2] < centroid(phantom.fixed, 2)[2]  # the liver is inferior to the lung


def test_kidneys_have_the_volume_of_their_ellipsoids(phantom):
    for side, kidney in enumerate(KIDNEYS):
        voxels = (phantom.fixed.labels.data == 8 + side).sum() * 27.0
        assert float(voxels) == pytest.approx(kidney.volume, rel=0.02)
        assert phantom.fixed.surfaces[8 + side].volume == pytest.approx(kidney.volume, rel=0.01)


def test_moved_organ_has_the_volume_that_the_determinant_says(phantom):
    motion = phantom.transform
    for label in (5, 8):
        inside = phantom.fixed.labels.grid()[phantom.fixed.labels.data[0] == label]
        expected = float(motion.determinant(inside.double()).sum()) * 27
        assert float((phantom.moving.labels.data == label).sum()) * 27 == pytest.approx(expected, rel=0.03)
        assert phantom.moving.surfaces[label].volume == pytest.approx(expected, rel=0.03)


def test_labels_agree_between_the_states_under_the_transform(phantom):
    fixed = phantom.fixed.labels
    warped = phantom.moving.labels.resample(fixed.geometry, phantom.transform, mode="nearest")
    inside = fixed.data > 1
    assert (warped.data == fixed.data)[inside].float().mean() > 0.93  # the rest: surface voxels of 3 mm
    assert (phantom.moving.labels.data == fixed.data)[inside].float().mean() < 0.85


def test_hounsfield_units_are_those_of_the_tissues(phantom):
    for state in (phantom.fixed, phantom.moving):
        hounsfield, labels = state.image.data, state.labels.data
        assert hounsfield[0, :, 0].max() == -1000  # air behind the patient
        assert float(hounsfield[labels == 2].median()) == pytest.approx(-850, abs=1)
        assert 40 < float(hounsfield[labels == 5].median()) < 80
        assert float(hounsfield[labels == 12].max()) > 400
    lung = (phantom.fixed.labels.data == 2) | (phantom.fixed.labels.data == 3)
    at_landmarks = phantom.fixed.image.sample(phantom.fixed.landmarks).mean()
    assert at_landmarks > phantom.fixed.image.data[lung].mean() + 150


def test_finer_voxels_show_a_thick_vessel_at_its_full_density():
    tube = Tubes.along(torch.tensor([[0.0, 0, 0], [0, 0, 50.0]], dtype=torch.float64), 4.0)
    points = torch.tensor([[1.0, 0, 20], [6.0, 0, 20], [0, 4.0, 30.3], [0, 0, 53.0], [30.0, 0, 0]])
    assert torch.allclose(tube.distance(points, 3.0), torch.tensor([-3.0, 2.0, 0.0, -1.0, 3.0]), atol=1e-5)


def test_thick_tube_is_found_through_a_thin_one():
    path = torch.tensor([[0.0, 0, 0], [0, 0, 40.0]], dtype=torch.float64)
    side = path + torch.tensor([4.5, 0, 0], dtype=torch.float64)
    tubes = Tubes.joined([Tubes.along(path, 5.0), Tubes.along(side, 0.4)])
    point = torch.tensor([[3.9, 0.0, 20.0]])
    assert tubes.distance(point, 2.0).item() == pytest.approx(-1.1, abs=1e-5)


def test_ellipsoid_distance_is_exact_along_its_axes_and_turns_with_its_tilt():
    ellipsoid = Ellipsoid((5.0, 0, 0), (10.0, 20.0, 40.0), tilt=90.0)
    points = torch.tensor([[45.0, 0, 0], [5.0, 0, 10.0], [5.0, 20.5, 0]], dtype=torch.float64)
    assert torch.allclose(ellipsoid(points), torch.tensor([0.0, 0.0, 0.5], dtype=torch.float64), atol=0.02)
    assert ellipsoid.volume == pytest.approx(4 / 3 * math.pi * 8000)
    assert ellipsoid.box[1] == pytest.approx((45.0, 20.0, 10.0))


def test_vessel_clouds_share_no_point_and_lie_on_the_vessels(phantom):
    for state in (phantom.fixed, phantom.moving):
        assert state.vessels.labels == (2, 3)
        assert (
            state.labels.sample(state.vessels.points, mode="nearest")[0] == state.vessels.values
        ).float().mean() > 0.97
    moved = phantom.transform(phantom.fixed.vessels.points)
    gap = torch.cdist(moved, phantom.moving.vessels.points).min(1).values
    assert gap.mean() > 0.2  # not the same points,
    assert gap.quantile(0.99) < 2.5  # but the same vessels


def test_seed_repeats_the_patient_and_another_seed_changes_the_vessels():
    first, again, other = (breathing_phantom(spacing=8.0, seed=s, noise=10.0) for s in (1, 1, 2))
    assert torch.equal(first.fixed.image.data, again.fixed.image.data)
    assert torch.equal(first.moving.vessels.points, again.moving.vessels.points)
    assert not torch.equal(first.fixed.landmarks, other.fixed.landmarks)
    noise = first.fixed.image.data[:, :, 0]
    assert noise.std() == pytest.approx(10.0, rel=0.1)


def test_files_read_back_as_written(tmp_path):
    from DiffRegLib.files import read_image, read_landmarks, read_points, read_transform

    phantom = write_phantom(tmp_path / "phantom", PhantomOptions(spacing=6.0, noise=0.0))
    folder = tmp_path / "phantom"
    assert torch.allclose(read_image(folder / "moving_ct.nii.gz").data, phantom.moving.image.data, atol=0.51)
    assert torch.equal(read_image(folder / "fixed_labels.nii.gz").data, phantom.fixed.labels.data)
    assert torch.allclose(
        read_points(folder / "fixed_vessels.csv").cloud().points, phantom.fixed.vessels.points, atol=1e-3
    )
    landmarks = read_landmarks(folder / "fixed_landmarks.csv").double()
    error = read_transform(folder / "transform.h5")(landmarks) - phantom.moving.landmarks
    assert error.norm(dim=1).max() < 0.3  # interpolation of the field on 6 mm voxels
    with pytest.raises(RegistrationError, match="not empty"):
        write_phantom(folder)


def test_absurd_requests_are_refused():
    with pytest.raises(RegistrationError, match="voxel size"):
        breathing_phantom(spacing=0.0)
    with pytest.raises(RegistrationError, match="landmarks"):
        breathing_phantom(spacing=10.0, landmarks=100000)
