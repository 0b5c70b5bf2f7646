"""A view of a C-arm as typed, and the camera: each leads back to the other."""

import dataclasses
import itertools

import pytest
import torch

from DiffRegLib.camera import c_arm
from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.carm import camera_of, missing, options_of
from DiffRegLib.radiographs.options import CArmOptions

CENTER = torch.tensor([3.5, 130.0, 212.0], dtype=torch.float64)
TYPED = CArmOptions(distance=1020.0, isocenter_distance=620.0, pixel_width=1.46)
SIZE = (200, 256)


@pytest.mark.parametrize("angles", [(0.0, 0.0), (90.0, 0.0), (-35.0, 20.0), (170.0, -25.0)])
def test_the_plain_view_is_that_of_the_c_arm(angles):
    typed = dataclasses.replace(TYPED, primary_angle=angles[0], secondary_angle=angles[1])
    camera, known = camera_of(typed, SIZE, CENTER), c_arm(CENTER, 1020.0, 620.0, (1.46, 1.46), SIZE, angles)
    assert torch.allclose(camera.projection_matrix, known.projection_matrix, atol=1e-9)


@pytest.mark.parametrize(
    "angles, spin, mirrored, principal, isocenter",
    list(
        itertools.product(
            [(0.0, 0.0), (40.0, -20.0), (-90.0, 35.0)],
            [0.0, 90.0, -130.0],
            [False, True],
            [None, (100.0, 30.0)],
            [(), (0.0, 10.0, 20.0)],
        )
    ),
)
def test_typed_and_camera_lead_to_each_other(angles, spin, mirrored, principal, isocenter):
    typed = dataclasses.replace(
        TYPED,
        primary_angle=angles[0],
        secondary_angle=angles[1],
        image_angle=spin,
        mirrored=mirrored,
        principal_column=principal and principal[0],
        principal_row=principal and principal[1],
        isocenter=isocenter,
        pixel_height=1.2,
    )
    camera = camera_of(typed, SIZE, CENTER)
    again = camera_of(options_of(camera, CENTER), SIZE, CENTER)
    assert torch.allclose(camera.projection_matrix, again.projection_matrix, atol=1e-6)
    found = options_of(camera, torch.tensor(isocenter or CENTER.tolist(), dtype=torch.float64))
    for name in ("distance", "isocenter_distance", "pixel_width", "pixel_height", "mirrored"):
        assert getattr(found, name) == pytest.approx(getattr(typed, name), abs=1e-6), name
    assert (found.image_angle - spin + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)
    assert found.principal_column == pytest.approx(principal[0]) if principal else found.principal_column is None


def test_an_image_is_turned_clockwise():
    """What was straight above the middle of a frontal image is seen on its right after a turn by 90 degrees."""
    above = CENTER + torch.tensor([0.0, 0.0, 50.0], dtype=torch.float64)
    plain, turned = (camera_of(dataclasses.replace(TYPED, image_angle=a), (256, 256), CENTER) for a in (0.0, 90.0))
    (column, row), (column_turned, row_turned) = (c.project(above)[0].tolist() for c in (plain, turned))
    assert column == pytest.approx(127.5) and row < 127.5
    assert column_turned - 127.5 == pytest.approx(127.5 - row) and row_turned == pytest.approx(127.5)


def test_a_mirrored_image_exchanges_left_and_right_alone():
    point = CENTER + torch.tensor([30.0, 5.0, 50.0], dtype=torch.float64)
    plain, mirrored = (camera_of(dataclasses.replace(TYPED, mirrored=m), (256, 256), CENTER) for m in (False, True))
    (column, row), (other, other_row) = (c.project(point)[0].tolist() for c in (plain, mirrored))
    assert column < 127.5  # the patient's right is on the left of a frontal image
    assert other == pytest.approx(255 - column) and other_row == pytest.approx(row)


def test_what_is_missing_is_named():
    assert missing(CArmOptions()) == ["distance", "isocenter_distance", "pixel_width"]
    with pytest.raises(RegistrationError, match=r"distance from source to detector.*\(0018,1110\)"):
        camera_of(CArmOptions(), SIZE, CENTER)
    with pytest.raises(RegistrationError, match=r"width of a pixel.*\(0018,1164\)"):
        camera_of(dataclasses.replace(TYPED, pixel_width=0.0), SIZE, CENTER)
    with pytest.raises(RegistrationError, match="isocenter lies between"):
        camera_of(dataclasses.replace(TYPED, isocenter_distance=1100.0), SIZE, CENTER)
    with pytest.raises(RegistrationError, match="R, A and S"):
        camera_of(dataclasses.replace(TYPED, isocenter=(1.0, 2.0)), SIZE, CENTER)
