"""Vessels: center lines of known tubes to a fraction of a voxel, and derivatives that are exact."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.points.hessian import Differentiator, derivative_matrix
from DiffRegLib.points.ridges import center_line, eigenvalues, tubeness
from DiffRegLib.points.vessels import cloud_from_vessels, find_ridges

SIZE = (32, 54, 56)
SPACING = (1.3, 1.4, 2.5)


@cache
def lung_with_tubes(noise: float = 0.0, seed: int = 0) -> tuple[Image, np.ndarray]:
    """A block of parenchyma with three helical tubes of 1.2 to 2.4 mm radius, and their axes in RAS mm."""
    affine = torch.diag(torch.tensor([*SPACING, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([-40.0, 15.0, 100.0])
    empty = Image(torch.zeros(1, *SIZE), affine)
    extent = np.array(SPACING) * (np.array(SIZE[::-1]) - 1)
    t = np.linspace(0.12, 0.88, 600)[:, None]
    axes = []
    for turn, radius in ((0.0, 1.2), (2.1, 1.8), (4.2, 2.4)):
        around = np.concatenate([np.cos(4 * t + turn), np.sin(4 * t + turn), np.zeros_like(t)], axis=1)
        axis = extent * (0.5 + 0.28 * around)
        axis[:, 2] = extent[2] * t[:, 0]
        axes.append((axis + affine[:3, 3].numpy(), radius))
    world = empty.grid().reshape(-1, 3).numpy()
    image = np.full(len(world), -870.0)
    for axis, radius in axes:
        distance = cKDTree(axis).query(world)[0]
        image = np.maximum(image, -870 + 880 / (1 + np.exp((distance - radius) / 0.4)))  # a scanner's soft edge
    image += np.random.default_rng(seed).normal(0, noise, len(image))
    data = torch.from_numpy(image).float().reshape(1, *SIZE)
    return Image(data, affine), np.concatenate([axis for axis, _ in axes])


def everywhere(image: Image) -> Image:
    return Image(torch.ones_like(image.data), image.affine)


def test_points_lie_on_the_axes_of_tubes_in_anisotropic_voxels():
    image, axes = lung_with_tubes()
    cloud = cloud_from_vessels(image, everywhere(image), points=400)

    error = cKDTree(axes).query(cloud.points.numpy())[0]
    gap = cKDTree(cloud.points.numpy()).query(axes)[0]
    assert np.median(error) < 0.2 * min(SPACING)
    assert np.percentile(error, 95) < 0.75 * min(SPACING)
    assert np.percentile(gap, 95) < 2 * max(SPACING)
    assert torch.equal(cloud.weights, torch.ones(len(cloud)))


def test_points_stay_on_the_axes_under_noise():
    image, axes = lung_with_tubes(noise=20.0)
    cloud = cloud_from_vessels(image, everywhere(image), points=400)

    error = cKDTree(axes).query(cloud.points.numpy())[0]
    assert np.median(error) < 0.25 * min(SPACING)
    assert (error < min(SPACING)).mean() > 0.9


def test_two_scans_of_one_lung_give_the_same_points():
    first, second = (
        cloud_from_vessels(i, everywhere(i), 600).points for i in (lung_with_tubes(15.0, s)[0] for s in (1, 2))
    )

    distance = cKDTree(first.numpy()).query(second.numpy())[0]
    assert np.median(distance) < 0.5 * min(SPACING)


def test_no_points_outside_the_mask():
    image, _ = lung_with_tubes()
    mask = everywhere(image)
    mask.data[:, :, :, 28:] = 0
    cloud = cloud_from_vessels(image, mask, points=200)

    limit = float(image.to_world(torch.tensor([28.0, 0, 0], dtype=torch.float64))[0])
    assert cloud.points[:, 0].max() < limit + SPACING[0]


def test_a_mask_with_holes_for_its_vessels_is_as_good_as_a_full_one():
    image, axes = lung_with_tubes()
    holes = Image((image.data < -600).float(), image.affine)
    cloud = cloud_from_vessels(image, holes, points=400)

    assert np.percentile(cKDTree(cloud.points.numpy()).query(axes)[0], 90) < 2 * max(SPACING)


def test_the_order_of_the_axes_does_not_matter():
    image, _ = lung_with_tubes()
    flipped_affine = image.affine.clone()
    flipped_affine[:3, 0] *= -1
    flipped_affine[:3, 3] = image.to_world(torch.tensor([SIZE[2] - 1.0, 0, 0], dtype=torch.float64))
    flipped = Image(image.data.flip(3), flipped_affine)
    ours, theirs = (find_ridges(i, torch.ones(SIZE, dtype=torch.bool)).points for i in (image, flipped))

    assert cKDTree(ours.numpy()).query(theirs.numpy())[0].max() < 0.05


@pytest.mark.parametrize("spacing", [0.8, 1.3, 2.5])
def test_derivatives_of_a_smoothed_sine_are_those_of_calculus(spacing):
    n, sigma, frequency = 120, 2.0, 2 * np.pi / 30
    positions = np.arange(20.0, (n - 1) * spacing - 20, 1.0)
    samples = torch.from_numpy(np.sin(frequency * np.arange(n) * spacing)).float()
    linear = np.sinc(frequency * spacing / (2 * np.pi)) ** 2  # what linear interpolation leaves of a sine
    damped = linear * np.exp(-((frequency * sigma) ** 2) / 2)
    expected = [
        damped * np.sin(frequency * positions),
        damped * frequency * np.cos(frequency * positions),
        -damped * frequency**2 * np.sin(frequency * positions),
    ]
    for order in range(3):
        found = derivative_matrix(n, spacing, positions, sigma, order) @ samples
        np.testing.assert_allclose(found.numpy(), expected[order], atol=2e-3 * np.abs(expected[order]).max())


def test_beyond_its_ends_the_signal_is_constant():
    positions = np.arange(0, 20, 1.0)
    ones = torch.full((20,), 7.0)
    np.testing.assert_allclose(derivative_matrix(20, 1.0, positions, 2.0, 0) @ ones, 7.0, rtol=1e-4)
    np.testing.assert_allclose(derivative_matrix(20, 1.0, positions, 2.0, 2) @ ones, 0.0, atol=1e-3)


def test_all_derivatives_of_a_quadratic_are_exact_in_mm():
    shape, spacing = (20, 24, 28), (2.5, 1.4, 1.3)
    z, y, x = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    volume = torch.from_numpy(0.5 * x**2 - y**2 + 2 * z**2 + 3 * x * y - x * z + 4 * y * z).float()
    grid = (np.array([24.0]), np.array([16.0]), np.array([18.0]))
    found = {k: float(v) for k, v in Differentiator.of(shape, spacing, grid, 1.5)(volume, slice(None)).items()}

    second = {"xx": 1.0, "yy": -2.0, "zz": 4.0, "xy": 3.0, "xz": -1.0, "yz": 4.0}
    for name, value in second.items():
        assert found[name] == pytest.approx(value, abs=0.01)
    assert found["gx"] == pytest.approx(18 + 3 * 16 - 24, rel=1e-3)
    assert found["gy"] == pytest.approx(-2 * 16 + 3 * 18 + 4 * 24, rel=1e-3)
    assert found["gz"] == pytest.approx(4 * 24 - 18 + 4 * 16, rel=1e-3)


def symmetric(n: int = 200) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    matrices = torch.randn(n, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrices = matrices + matrices.transpose(1, 2)
    places = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}
    return {name: matrices[:, i, j] for name, (i, j) in places.items()}, matrices


def test_closed_form_eigenvalues_are_those_of_linear_algebra():
    entries, matrices = symmetric()
    torch.testing.assert_close(
        torch.stack(eigenvalues(entries), 1), torch.linalg.eigvalsh(matrices), atol=1e-6, rtol=1e-6
    )


def test_the_ridge_step_reaches_the_axis_of_a_quadratic_tube():
    axis = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64), dim=0)
    hessian = -4 * (torch.eye(3, dtype=torch.float64) - torch.outer(axis, axis))
    at = torch.tensor([0.3, -0.7, 0.4], dtype=torch.float64)
    gradient = hessian @ at
    places = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}
    entries = {name: hessian[i, j][None] for name, (i, j) in places.items()}
    entries.update({name: gradient[i][None] for i, name in enumerate(("gx", "gy", "gz"))})

    step, slope = center_line(entries)
    torch.testing.assert_close(step[0], (at @ axis) * axis - at, atol=1e-5, rtol=0)
    assert float(slope) == pytest.approx(0.0, abs=1e-5)


def test_a_plate_has_no_tubeness_and_a_gaussian_tube_has_its_closed_form():
    sigma, radius, contrast = 2.0, 1.5, 800.0
    curvature = contrast * radius**2 / (sigma**2 + radius**2) ** 2  # of a smoothed Gaussian tube on its axis
    zero = torch.zeros(1)
    tube = {"xx": zero - curvature, "yy": zero - curvature, "zz": zero, "xy": zero, "xz": zero, "yz": zero}
    plate = tube | {"yy": zero}

    assert float(tubeness(tube, sigma)) == pytest.approx(curvature * sigma**2, rel=1e-4)
    assert float(tubeness(plate, sigma)) == pytest.approx(0.0, abs=1e-3)


def test_a_lung_without_vessels_and_an_empty_mask_are_refused():
    image, _ = lung_with_tubes()
    flat = Image(torch.full_like(image.data, -850.0), image.affine)
    with pytest.raises(RegistrationError, match="No vessels were found in insp.nii.gz: give a mask"):
        cloud_from_vessels(flat, everywhere(flat), name="insp.nii.gz")
    with pytest.raises(RegistrationError, match="lung mask of insp.nii.gz is empty"):
        cloud_from_vessels(image, Image(torch.zeros_like(image.data), image.affine), name="insp.nii.gz")
    elsewhere = image.affine.clone()
    elsewhere[:3, 3] += 1000
    with pytest.raises(RegistrationError, match="is empty where the CT is"):
        cloud_from_vessels(image, Image(torch.ones_like(image.data), elsewhere))
