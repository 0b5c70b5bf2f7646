"""Dragging on the X-ray: what is under the mouse follows it, however the detector is read out."""

import math
from dataclasses import replace

import pytest
import torch

from DiffRegLib.camera import Camera, c_arm
from DiffRegLib.radiographs.hand import NEAREST, deeper, shifted, spun, turned
from DiffRegLib.transforms import rigid

CENTER = torch.tensor([12.0, -30.0, 85.0], dtype=torch.float64)
POSE = rigid(torch.tensor([15.0, -40.0, 70.0]), torch.tensor([9.0, 4.0, -20.0]), CENTER).matrix
NOT_CENTRAL = (40.0, -25.0)  # mm of the detector beside the axis
MIRRORED = c_arm(CENTER, 1020.0, 620.0, (1.2, 0.7), (300, 240), (25.0, -10.0), NOT_CENTRAL)  # columns, as usual
CAMERAS = [
    MIRRORED,
    replace(MIRRORED, spacing=(1.2, 0.7)),
    replace(MIRRORED, spacing=(1.2, -0.7)),
    replace(MIRRORED, spacing=(-1.2, -0.7)),
]
every_camera = pytest.mark.parametrize("camera", CAMERAS, ids=["columns mirrored", "plain", "rows mirrored", "both"])


def place(pose: torch.Tensor, point: torch.Tensor = CENTER) -> torch.Tensor:
    return pose[:3, :3] @ point + pose[:3, 3]


def shadow(pose: torch.Tensor, camera: Camera, point: torch.Tensor = CENTER) -> torch.Tensor:
    return camera.project(place(pose, point))[0]


def toward_viewer(camera: Camera) -> torch.Tensor:
    """From the displayed image to a viewer who sees columns run right and rows run down."""
    corner, right, below = camera.detector_points(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    into = torch.linalg.cross(right - corner, below - corner)
    return -into / into.norm()


def near_point(pose: torch.Tensor, camera: Camera, mm: float = 50.0) -> torch.Tensor:
    """The point of the CT (in its own world) that lies so far before the center, as the viewer sees it."""
    return torch.linalg.inv(pose)[:3] @ torch.cat([place(pose) + mm * toward_viewer(camera), torch.ones(1).double()])


def test_the_usual_radiograph_is_seen_from_the_detector_and_a_plain_camera_from_the_source():
    beam = MIRRORED.pose[:3, 2]
    assert MIRRORED.spacing[0] < 0
    assert float(toward_viewer(MIRRORED) @ beam) == pytest.approx(1.0)
    assert float(toward_viewer(CAMERAS[1]) @ beam) == pytest.approx(-1.0)
    assert float(toward_viewer(CAMERAS[3]) @ beam) == pytest.approx(-1.0)


@every_camera
def test_a_drag_takes_the_shadow_of_the_center_along_and_keeps_its_depth(camera):
    start = shadow(POSE, camera)
    end = (31.25, 222.5)
    moved = shifted(POSE, camera, CENTER, tuple(start.tolist()), end)
    pixel, depth = camera.project(place(moved))
    torch.testing.assert_close(pixel, torch.tensor(end, dtype=torch.float64), atol=1e-6, rtol=0)
    assert float(depth) == pytest.approx(float(camera.project(place(POSE))[1]), abs=1e-9)
    torch.testing.assert_close(moved[:3, :3], POSE[:3, :3], atol=1e-12, rtol=0)


@every_camera
def test_a_drag_that_starts_elsewhere_moves_the_shadow_as_far(camera):
    moved = shifted(POSE, camera, CENTER, (10.0, 20.0), (25.0, 12.0))
    torch.testing.assert_close(shadow(moved, camera) - shadow(POSE, camera), torch.tensor([15.0, -8.0]).double())


@every_camera
def test_turning_keeps_the_center_where_it_is(camera):
    moved = turned(POSE, camera, CENTER, 33.0, -21.0)
    torch.testing.assert_close(place(moved), place(POSE), atol=1e-9, rtol=0)


@every_camera
def test_the_near_side_follows_the_hand(camera):
    near = near_point(POSE, camera)
    corner, right, below = camera.detector_points(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    right, below = ((v - corner) / (v - corner).norm() for v in (right, below))
    for across, down in ((10.0, 0.0), (0.0, 10.0), (-6.0, 8.0)):
        moved = turned(POSE, camera, CENTER, across, down)
        way = place(moved, near) - place(POSE, near)
        sine = 50.0 * math.sin(math.radians(10.0)) / 10.0
        assert float(way @ right) == pytest.approx(across * sine, abs=1e-9)
        assert float(way @ below) == pytest.approx(down * sine, abs=1e-9)
        assert float(way @ toward_viewer(camera)) == pytest.approx(50 * (math.cos(math.radians(10.0)) - 1), abs=1e-9)


@every_camera
def test_spinning_takes_what_is_under_the_mouse_along(camera):
    """A point at the center's depth keeps its distance on the detector and comes to the angle of the mouse, in mm."""
    axes = camera.pose[:3, :3]
    point = torch.linalg.inv(POSE)[:3] @ torch.cat(
        [place(POSE) + axes @ torch.tensor([30.0, -12.0, 0.0]).double(), torch.ones(1).double()]
    )
    start = shadow(POSE, camera, point)
    middle, pitch = shadow(POSE, camera), torch.tensor(camera.spacing, dtype=torch.float64)
    for degrees in (-170.0, -35.0, 5.0, 120.0):
        a = math.radians(degrees)
        turn = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], dtype=torch.float64)
        target = middle + turn @ ((start - middle) * pitch) / pitch
        mouse = middle + 1.7 * (target - middle)  # the mouse may be farther out than the point
        moved = spun(POSE, camera, CENTER, tuple(start.tolist()), tuple(mouse.tolist()))
        torch.testing.assert_close(shadow(moved, camera, point), target, atol=1e-6, rtol=0)
        torch.testing.assert_close(place(moved), place(POSE), atol=1e-9, rtol=0)


def test_a_drag_from_the_middle_spins_nothing():
    start = tuple(shadow(POSE, MIRRORED).tolist())
    torch.testing.assert_close(spun(POSE, MIRRORED, CENTER, start, start), POSE, atol=1e-12, rtol=0)


@every_camera
def test_deeper_keeps_the_shadow_and_goes_away_from_the_source(camera):
    for mm in (45.0, -45.0):
        moved = deeper(POSE, camera, CENTER, mm)
        torch.testing.assert_close(shadow(moved, camera), shadow(POSE, camera), atol=1e-6, rtol=0)
        before, after = ((place(pose) - camera.source).norm().item() for pose in (POSE, moved))
        assert after - before == pytest.approx(mm, abs=1e-9)
        torch.testing.assert_close(moved[:3, :3], POSE[:3, :3], atol=1e-12, rtol=0)


def test_nothing_is_pulled_through_the_source():
    at = deeper(POSE, MIRRORED, CENTER, -5000.0)
    assert float((place(at) - MIRRORED.source).norm()) == pytest.approx(NEAREST)
    again = deeper(at, MIRRORED, CENTER, 100.0)
    torch.testing.assert_close(shadow(again, MIRRORED), shadow(POSE, MIRRORED), atol=1e-4, rtol=0)


def test_a_drag_there_and_back_changes_nothing():
    there = turned(POSE, MIRRORED, CENTER, 30.0, 12.0)
    torch.testing.assert_close(turned(there, MIRRORED, CENTER, -30.0, -12.0), POSE, atol=1e-10, rtol=0)


def test_thousands_of_drags_leave_a_rigid_matrix_and_their_arguments_alone():
    pose, kept = POSE.clone(), POSE.clone()
    for n in range(2000):
        pose = turned(pose, MIRRORED, CENTER, 3.1, -1.7)
        pose = spun(pose, MIRRORED, CENTER, (10.0, 10.0 + n % 7), (40.0, 30.0))
        pose = shifted(pose, MIRRORED, CENTER, (0.0, 0.0), (1.0, -1.0) if n % 2 else (-1.0, 1.0))
    rotation = pose[:3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3).double(), atol=1e-13, rtol=0)
    assert float(torch.linalg.det(rotation)) == pytest.approx(1.0)
    torch.testing.assert_close(place(pose), place(POSE), atol=1e-6, rtol=0)
    assert torch.equal(kept, POSE)
