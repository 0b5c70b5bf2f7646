"""Live radiographs: what is on the screen is the projection, and it keeps up with the hand."""

import warnings

import numpy as np
import pytest
import torch

from DiffRegLib.camera import LATERAL, c_arm
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.live import BUDGET, WIDTHS, LiveRadiographs, Pace
from DiffRegLib.radiographs.projection import project
from DiffRegLib.transforms import rigid

EYE = np.eye(4)
BEHIND, BEYOND = [0.0, -900.0, 0.0], [0.0, 900.0, 0.0]
POSE = rigid(torch.tensor([8.0, -5.0, 12.0]), torch.tensor([6.0, 20.0, -9.0])).matrix


def ball(place=(0.0, 0.0, 0.0), spacing=2.0, size=48) -> Image:
    """A smooth ball of 12 mm about a place (RAS mm), of attenuation 0.05 at its middle, in a cube about the origin."""
    affine = torch.diag(torch.tensor([-spacing, -spacing, spacing, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([1.0, 1.0, -1.0]) * spacing * (size - 1) / 2
    grid = Image(torch.zeros(1, size, size, size), affine).grid()
    squared = (grid - torch.tensor(place)).square().sum(-1)
    return Image(0.05 * torch.exp(-squared / (2 * 12.0**2))[None], affine)


def arm(columns=128, rows=96, angles=(0.0, 0.0)):
    pitch = 200.0 / columns
    return c_arm([0.0, 0.0, 0.0], 1000.0, 600.0, (pitch, pitch), (rows, columns), angles, (7.0, -4.0))


def centroid(picture):
    rows, columns = np.indices(picture.shape)
    return np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()


def test_a_picture_at_rest_is_the_projection():
    volume, cameras = ball((10.0, -5.0, 14.0)), [arm(), arm(200, 150, LATERAL)]
    pictures = LiveRadiographs(volume, cameras, "cpu").render(POSE, False)
    for picture, camera in zip(pictures, cameras, strict=True):
        expected = project(volume, POSE, camera)[0, 0].numpy()
        assert picture.dtype == np.float32 and picture.shape == camera.size
        np.testing.assert_allclose(picture, expected, rtol=1e-5, atol=1e-5 * expected.max())


@pytest.mark.parametrize("moving", [False, True])
def test_the_camera_of_a_picture_says_where_things_are(moving):
    live = LiveRadiographs(ball(), [arm(1000, 900), arm(300, 240, LATERAL)], "cpu")
    pictures = live.render(POSE, moving)
    for view, picture in enumerate(pictures):
        camera = live.camera(view, moving)
        assert picture.shape == camera.size and picture.shape[1] <= (256 if moving else 512)
        assert camera.spacing[0] == pytest.approx(live.cameras[view].spacing[0] * live.factor(view, moving))
        shadow = camera.project(torch.from_numpy(POSE.numpy()[:3, 3]))[0].numpy()
        np.testing.assert_allclose(centroid(picture), shadow, atol=0.1)


def test_numbers_of_numpy_are_poses_too():
    live, numbers = LiveRadiographs(ball(), [arm()], "cpu"), POSE.numpy().copy()
    numbers.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(live.render(numbers, False)[0], live.render(POSE, False)[0])


def test_fine_voxels_are_averaged_until_they_match_the_pixels():
    """Averaging keeps the total: the picture's sum times the pixel's area stays, though the volume has few voxels."""
    volume = ball(spacing=1.0, size=96)
    live = LiveRadiographs(volume, [arm(64, 48)], "cpu")
    picture, exact = live.render(EYE, False)[0], project(volume, torch.eye(4), arm(64, 48))[0, 0].numpy()
    assert live._volumes and min(v.shape[0] for v in live._volumes.values()) == 32  # 1.9 mm a pixel, times 1.8
    assert picture.sum() == pytest.approx(exact.sum(), rel=5e-3)
    assert np.sqrt(((picture - exact) ** 2).mean()) < 0.02 * exact.max()


def test_moving_pictures_resemble_those_at_rest():
    live = LiveRadiographs(ball(), [arm(512, 384)], "cpu")
    moving, still = live.render(POSE, True)[0], live.render(POSE, False)[0]
    assert moving.shape == (192, 256)
    blocks = still.reshape(192, 2, 256, 2).mean((1, 3))
    assert np.abs(moving - blocks).max() < 0.01 * still.max()


@pytest.mark.parametrize(("width", "rms"), [(256, 0.0005), (128, 0.003), (64, 0.012)])
def test_moving_pictures_of_a_pelvis_lose_as_little_as_stated(shared_data, width, rms):
    ct = read_image(shared_data / "drr_pelvis" / "ct128.nii.gz")
    live = LiveRadiographs(attenuation(ct), [c_arm(ct.center, 1020.0, 620.0, (1.46, 1.46), (256, 256))], "cpu")
    live._pace = Pace(width, 256)
    for pose in np.load(shared_data / "drr_pelvis" / "calib_poses.npz")["M_target"][:3]:
        moving, still = live.render(pose, True)[0], live.render(pose, False)[0]
        assert moving.shape == (width, width)
        brought = torch.nn.functional.interpolate(torch.from_numpy(moving)[None, None], still.shape, mode="bilinear")
        assert np.sqrt(((brought[0, 0].numpy() - still) ** 2).mean() / (still**2).mean()) < rms


def test_a_ct_outside_the_beam_is_named_for_each_view():
    live = LiveRadiographs(ball(), [arm(), arm(angles=LATERAL)], "cpu")

    def said(*shift):
        return live.outside(rigid(torch.zeros(3), torch.tensor(shift)).matrix)

    assert said(0.0, 0.0, 0.0) == ["", ""]
    assert said(*BEHIND) == ["The CT lies behind the X-ray source.", "The CT lies outside the beam."]
    assert said(*BEYOND) == ["The CT lies beyond the detector.", "The CT lies outside the beam."]
    assert said(0.0, 0.0, 400.0) == ["The CT lies outside the beam."] * 2


def test_air_around_the_body_does_not_count_as_the_body():
    """Half of the volume's box is in the beam, but the ball in its corner is not."""
    live = LiveRadiographs(ball((0.0, 0.0, 40.0)), [arm()], "cpu")
    up = rigid(torch.zeros(3), torch.tensor([0.0, 0.0, 60.0])).matrix
    assert live.outside(up) == ["The CT lies outside the beam."]


def test_rendering_leaves_the_threads_as_they_are_and_warming_up_settles():
    before = torch.get_num_threads()
    live = LiveRadiographs(ball(), [arm()], "cpu")
    live.warm_up()
    width = live.render(EYE, True)[0].shape[1]
    assert live.camera(0, True).size[1] == width
    assert torch.get_num_threads() == before


def test_bad_input_is_refused():
    with pytest.raises(RegistrationError, match="at least one camera"):
        LiveRadiographs(ball(), [], "cpu")
    live = LiveRadiographs(ball(), [arm()], "cpu")
    for pose in (np.eye(3), np.full((4, 4), np.nan)):
        with pytest.raises(RegistrationError, match="4 x 4"):
            live.render(pose, False)


def pictures(pace, cost, frames):
    """Widths that a pace takes where a frame of width w lasts cost(w) ms."""
    widths = []
    for _ in range(frames):
        widths.append(pace.width)
        pace.record(cost(pace.width))
    return widths


@pytest.mark.parametrize("full", [5.0, 60.0, 300.0])  # ms at 256 pixels
def test_the_width_settles_where_frames_fit_the_budget(full):
    def cost(width):
        return full * (width / 256) ** 2

    widths = pictures(Pace(256, 512), cost, 60)
    assert len(set(widths[30:])) == 1
    assert cost(widths[-1]) <= BUDGET or widths[-1] == WIDTHS[-1]
    assert cost(widths[-1]) > 0.3 * BUDGET or widths[-1] == 512  # and no smaller than needed


def test_the_width_does_not_swing_where_a_finer_volume_makes_the_next_one_slow():
    widths = pictures(Pace(256, 256), lambda width: 8.0 if width <= 128 else 40.0, 400)
    assert sum(a != b for a, b in zip(widths, widths[1:])) <= 9  # three at the start and after each wait


def test_the_width_recovers_when_the_machine_is_free_again():
    pace = Pace(256, 256)
    assert pictures(pace, lambda width: 100.0, 30)[-1] == 64
    assert pictures(pace, lambda width: 1.0, 400)[-1] == 256


def test_one_slow_frame_changes_nothing():
    pace = Pace(256, 256)
    pictures(pace, lambda width: 15.0, 10)
    pace.record(200.0)
    assert set(pictures(pace, lambda width: 15.0, 10)) == {256}


def test_pictures_are_never_wider_than_the_xray():
    assert set(pictures(Pace(256, 50), lambda width: 0.1, 30)) == {50}
