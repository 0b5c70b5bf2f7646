"""The picture of a pose: gray values, contours and difference where they belong, and a row for each view."""

import numpy as np
import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.registration import TraceRow
from DiffRegLib.review.frames import write_frames
from DiffRegLib.review.radiographs import (
    RadiographPair,
    contours,
    difference,
    display,
    pose_figure,
    pose_overview,
)

SIZE = (90, 110)
TRACE = tuple(TraceRow(64, n, 1 / (1 + n), 0.0, 0.0) for n in range(5))


def bone(column=50.0):
    """A smooth body with a bright vertical bar at a column."""
    row, across = np.mgrid[: SIZE[0], : SIZE[1]]
    return 3 * np.exp(-(((across - 55) / 60) ** 2) - ((row - 45) / 70) ** 2) + 1.0 * (np.abs(across - column) < 6)


def pair(shift=0.0):
    images = [torch.from_numpy(bone(c)) for c in (50.0, 62.0, 50.0 + shift)]
    mask = torch.ones(SIZE, dtype=torch.bool)
    mask[:, :8] = False
    return RadiographPair("front.png", images[0], mask, *images[1:])


def test_what_attenuates_more_is_brighter_and_what_is_masked_is_black():
    image, mask = bone(), pair().mask.numpy()
    gray = display(image, mask)
    assert gray[45, 50] > gray[45, 70] > gray[2, 105]
    assert (gray[:, :8] == 0).all() and gray.max() == 1 and gray.min() == 0


def test_contours_follow_the_edges_of_the_bone():
    edges = contours(bone())
    rows, columns = np.nonzero(edges[20:70])
    beside = np.minimum(np.abs(columns - 44), np.abs(columns - 56)) <= 2
    assert beside.mean() > 0.9
    assert all(
        np.abs(columns[rows == r] - 44).min() <= 2 and np.abs(columns[rows == r] - 56).min() <= 2 for r in range(50)
    )


def test_the_difference_vanishes_at_the_right_pose_whatever_brightness_and_contrast():
    mask = pair().mask.numpy()
    same = difference(5 * bone() - 7, bone(), mask)
    assert np.isnan(same[:, :8]).all() and np.nanmax(np.abs(same)) < 1e-6
    moved = difference(bone(), bone(58), mask)
    assert moved[45, 46] > 0.5 and moved[45, 61] < -0.5
    assert np.abs(moved[20:70, 85:]).max() < 0.1


def test_the_figure_has_a_row_a_view_and_the_loss(tmp_path):
    figure = pose_figure([pair(), pair(3.0)], "ct onto two X-rays", "converged", TRACE)
    panels = [axes for axes in figure.axes if axes.images and axes.get_xlabel() == ""]
    assert len([axes for axes in panels if axes.images[0].get_array().shape[:2] == SIZE]) == 10
    loss = next(axes for axes in figure.axes if axes.get_title() == "optimization")
    assert len(loss.lines[0].get_ydata()) == 5
    pose_overview(tmp_path / "overview.png", [pair()], trace=TRACE)
    from PIL import Image

    shown = np.array(Image.open(tmp_path / "overview.png").convert("RGB")).astype(int)
    orange = (shown[..., 0] > 230) & (abs(shown[..., 1] - 158) < 40) & (shown[..., 2] < 90)
    assert orange.sum() > 100
    with pytest.raises(RegistrationError, match="cannot be written"):
        pose_overview(tmp_path / "missing" / "a.png", [pair()])


def test_frames_keep_values_and_pitch_in_stacks(tmp_path):
    import SimpleITK as sitk

    frames = np.stack([bone(), bone(60)]).astype(np.float32)
    write_frames(tmp_path / "stack.mha", frames, (-0.5, 0.7))
    read = sitk.ReadImage(str(tmp_path / "stack.mha"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), frames)
    assert read.GetSpacing()[:2] == (0.5, 0.7)
