"""The projector against independent projections: a phantom in closed form, and a pelvis by exact integration."""

import numpy as np
import pytest
import torch

from DiffRegLib.camera import Camera
from DiffRegLib.files import read_image
from DiffRegLib.radiographs.projection import Volume, project


def arm(center, size):
    """The C-arm of the data at rest: source 620 mm behind the isocenter, detector 400 mm before it, seen from there."""
    center = torch.as_tensor(center, dtype=torch.float64)
    to = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    pitch = 373.76 / size
    return Camera.from_detector(
        center - 620 * to, center + 400 * to, [-1.0, 0, 0], [0, 0, -1.0], (pitch, pitch), (size, size)
    )


@pytest.fixture(scope="module")
def pelvis(shared_data):
    image = read_image(shared_data / "drr_pelvis" / "ct128.nii.gz")
    attenuation = 0.02 * (1 + image.data / 1000)
    return Volume(attenuation, image.affine), image.center


@pytest.mark.parametrize("step", [None, 0.5])
def test_the_pelvis_agrees_with_its_exact_trilinear_integral(shared_data, pelvis, step):
    volume, center = pelvis
    poses = torch.from_numpy(np.load(shared_data / "drr_pelvis" / "calib_poses.npz")["M_target"])
    exact = torch.from_numpy(np.load(shared_data / "drr_pelvis" / "calib_proj128.npz")["line_integral"])
    error = project(volume, poses, arm(center, 128), step)[:, 0] - exact
    rms = error.square().mean().sqrt() / exact.square().mean().sqrt()
    assert rms < (1e-3 if step is None else 2e-4)
    assert error.abs().max() < (0.05 if step is None else 0.01)


def test_the_pelvis_has_the_documented_values_at_the_documented_pixels(shared_data, pelvis):
    volume, center = pelvis
    poses = torch.from_numpy(np.load(shared_data / "drr_pelvis" / "calib_poses.npz")["M_target"])
    for pose, row, column, value in (
        (0, 64, 64, 5.053707),
        (1, 90, 40, 4.525466),
        (2, 64, 10, 4.204135),
        (6, 5, 60, 5.122349),
    ):
        pixel = project(volume, poses[pose], arm(center, 128), 0.05, torch.tensor([[row, column]]))
        assert pixel.item() == pytest.approx(value, abs=1e-3)


def test_the_phantom_agrees_with_its_closed_form_as_far_as_its_voxels_do(shared_data):
    phantom = np.load(shared_data / "drr_phantom" / "phantom.npz")
    image = read_image(shared_data / "drr_phantom" / "phantom_mu128.nii.gz")
    exact = torch.from_numpy(phantom["line_integral_128"])
    ours = project(image, torch.from_numpy(phantom["M"]), arm(phantom["isocentre"], 128))[:, 0].double()
    rms = (ours - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert rms < 0.0125  # 1 % of partial volume, as its README states
    assert ours.sum().item() == pytest.approx(exact.sum().item(), rel=1e-3)


def test_the_phantom_at_256_pixels(shared_data):
    phantom = np.load(shared_data / "drr_phantom" / "phantom.npz")
    image = read_image(shared_data / "drr_phantom" / "phantom_mu128.nii.gz")
    exact = torch.from_numpy(phantom["line_integral_256"])
    ours = project(image, torch.from_numpy(phantom["M"][-2:]), arm(phantom["isocentre"], 256))[:, 0].double()
    assert (ours - exact).square().mean().sqrt() / exact.square().mean().sqrt() < 0.0125
