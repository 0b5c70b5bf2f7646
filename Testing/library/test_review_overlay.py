"""What is laid over the X-ray: every mode shows what it promises, and nothing where it has nothing to show."""

import numpy as np
import pytest
import torch

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.review.overlay import MODES, blurred, display, overlay, reduced, window

SIZE = (120, 160)


def body(column=70.0):
    """A smooth body with a bright vertical bar of 12 pixels at a column."""
    row, across = np.mgrid[: SIZE[0], : SIZE[1]]
    smooth = 3 * np.exp(-(((across - 80) / 70) ** 2) - ((row - 60) / 80) ** 2)
    return (smooth + 1.0 * (np.abs(across - column) < 6)).astype(np.float32)


def collimated():
    mask = np.ones(SIZE, dtype=bool)
    mask[:, :16] = False
    return mask


def seen(layer):
    """Pixels that are not transparent."""
    low, high = layer.visible
    return (layer.values >= low) & (layer.values <= high)


def shown(layer):
    """What the eye gets: each pixel on the scale of grays or colors, 0 to 1, NaN where it is transparent."""
    place = np.clip((layer.values - layer.low) / (layer.high - layer.low), 0, 1)
    return np.where(seen(layer), place, np.nan) if layer.visible else place


@pytest.mark.parametrize("mode", MODES)
def test_brightness_and_contrast_of_either_image_change_nothing_that_is_seen(mode):
    """A detector's gain and offset, and the unit of attenuation, say nothing of where the patient is."""
    picture = shown(overlay(mode, body(), body(74) ** 2, collimated()))
    other = shown(overlay(mode, 3 * body() + 2, 0.5 * body(74) ** 2 + 7, collimated()))
    assert picture.shape == SIZE and np.nanmax(picture) - np.nanmin(picture) >= (0 if mode == "contours" else 0.8)
    np.testing.assert_array_equal(np.isnan(picture), np.isnan(other))
    np.testing.assert_allclose(other, picture, atol=2e-3)


@pytest.mark.parametrize("mode", MODES)
def test_a_ct_outside_the_beam_adds_nothing_to_the_x_ray(mode):
    picture = shown(overlay(mode, np.zeros(SIZE), body(), collimated()))
    if mode in ("blend", "red-cyan"):
        assert not picture.any()  # black everywhere
    elif mode == "contours":
        assert np.isnan(picture).all()  # transparent everywhere
    elif mode == "checkerboard":
        assert np.ptp(picture[~np.isnan(picture)]) < 1e-6  # the tiles of the CT have one gray
    else:  # what remains is the X-ray without its local brightness: where it has no bone, next to nothing
        assert abs(picture[60, 130] - 0.5) < 0.1 < picture[60, 70] - 0.5


def test_a_blend_and_cyan_show_the_radiograph_in_the_window_of_the_mask():
    drr = body()
    drr[:, :16] = 50.0  # beyond the collimator
    blend, cyan = (overlay(mode, drr, body(), collimated()) for mode in ("blend", "red-cyan"))
    for layer in (blend, cyan):
        np.testing.assert_array_equal(layer.values, drr)
        assert layer.visible is None
        assert layer.low < np.quantile(drr[:, 16:], 0.02) and layer.high < 4.5
    assert (blend.colors, blend.add, cyan.colors, cyan.add) == ("gray", False, "cyan", True)


def test_contours_are_lines_at_the_edges_of_the_bone_and_nothing_else_is_seen():
    layer = overlay("contours", body(), body(), collimated())
    assert set(np.unique(layer.values)) == {0.0, 1.0} and layer.colors == "contour"
    rows, columns = np.nonzero(seen(layer)[25:95])
    beside = np.minimum(np.abs(columns - 64), np.abs(columns - 76)) <= 2
    assert beside.mean() > 0.9 and len(set(rows)) == 70
    assert not seen(layer)[:, :16].any()


def test_the_tiles_of_a_checkerboard_alternate_and_carry_on_the_xrays_edges():
    """An X-ray that is any rising function of the radiograph goes on across the tiles without a step."""
    drr = body()
    xray = np.exp(drr) - 4
    layer = overlay("checkerboard", drr, xray, collimated(), tiles=8)
    shown = seen(layer)
    for row, column in ((10, 10), (10, 30), (30, 10), (30, 30), (110, 150)):
        tile = shown[row // 20 * 20 : row // 20 * 20 + 20, column // 20 * 20 : column // 20 * 20 + 20]
        assert (tile == ((row // 20 + column // 20) % 2 == 1)).all()
    inside = shown & collimated()
    assert np.abs(layer.values - xray)[inside].max() < 0.02 * np.ptp(xray)
    assert (layer.low, layer.high) == window(xray, collimated())


def test_matching_keeps_the_order_of_the_grey_values():
    layer = overlay("checkerboard", body(50), body(90) ** 3, collimated())
    shown = seen(layer)
    order = np.argsort(body(50)[shown], kind="stable")
    assert (np.diff(layer.values[shown][order]) >= 0).all()


def test_the_difference_is_empty_at_the_right_pose_and_has_a_sign_beside_it():
    same = overlay("difference", body(), 5 * body() - 7, collimated())
    assert same.colors == "diverging" and same.low == -same.high
    assert np.abs(same.values[:, 16:]).max() < 1e-3
    assert not seen(same)[:, :16].any() and seen(same)[:, 16:].all()
    moved = overlay("difference", body(78), body(), collimated())  # the X-ray has the bar further left
    assert moved.values[60, 66] > 0.5 and moved.values[60, 81] < -0.5


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(RegistrationError, match="sizes"):
        overlay("blend", body(), body()[1:], collimated())
    with pytest.raises(RegistrationError, match="choose one of blend"):
        overlay("magic", body(), body(), collimated())


def test_metal_is_white_and_does_not_darken_the_bone():
    image = body()
    plain = display(image)[60, 70]
    image[:4, 100:140] = 500.0
    assert display(image)[60, 70] > 0.5 * plain and display(image)[0, 120] == 1


@pytest.mark.parametrize("sigma", [2.0, 5.0, 9.0, 17.0])
def test_a_wide_blur_is_gaussian(sigma):
    """A Gaussian of deviation a, blurred, is one of deviation sqrt(a^2 + sigma^2) with the same total."""
    row, column = np.mgrid[:200, :220].astype(float)
    squared = (row - 97.3) ** 2 + (column - 111.6) ** 2
    narrow, wide = 6.0**2, 6.0**2 + sigma**2
    expected = narrow / wide * np.exp(-squared / (2 * wide))
    assert np.abs(blurred(np.exp(-squared / (2 * narrow)), sigma) - expected).max() < 0.015 * expected.max()


def test_a_blur_leaves_what_is_constant_up_to_the_border():
    np.testing.assert_allclose(blurred(np.full((50, 41), 3.5), 13.0), 3.5)


def test_a_reduced_image_is_the_one_that_the_resized_camera_describes():
    """A ramp of columns shows where the middle of a pixel comes from; whole factors are block means."""
    camera = Camera(1000.0, (0.5, 0.5), SIZE, torch.eye(4, dtype=torch.float64))
    row, column = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    for factor in (1.0, 1.25, 1.6, 2.0, 3.7):
        smaller = camera.resized(factor)
        across, down = reduced(column, factor), reduced(row, factor)
        assert across.shape == smaller.size
        pixels = torch.from_numpy(np.stack([across, down], -1)).double()
        grid = torch.from_numpy(np.stack(np.indices(smaller.size)[::-1], -1)).double()
        torch.testing.assert_close(
            camera.detector_points(pixels), smaller.detector_points(grid), atol=0.05 * factor, rtol=0
        )
    np.testing.assert_allclose(reduced(body(), 2.0), body().reshape(60, 2, 80, 2).mean((1, 3)), rtol=1e-6)
