"""Cameras: pinhole geometry, calibration matrices, C-arm angles, and what DiffDRR and nanodrr make of them."""

import math

import pytest
import torch

from DiffRegLib.camera import AP, LATERAL, Camera, c_arm, check_views, from_projection_matrix
from DiffRegLib.camera.carm import relation, turned
from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.projection import Volume, project
from DiffRegLib.transforms import rigid

ISOCENTER = torch.tensor([3.5, 129.8, 212.8], dtype=torch.float64)
POINTS = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 60 + ISOCENTER


def oblique(mirrored=False):
    """A camera without symmetry: turned, anisotropic, its axis off the middle of a detector that is not square."""
    pose = rigid([100.0, -20.0, 35.0], [20.0, -600.0, 150.0]).matrix
    return Camera(1020.0, (-1.3 if mirrored else 1.3, 0.9), (200, 301), pose, (170.25, 80.5))


def same(first, second, tolerance=1e-6):
    """Both see every point at the same place, and are made of the same parts."""
    assert first.size == second.size
    assert first.distance == pytest.approx(second.distance, rel=1e-9)
    torch.testing.assert_close(first.project(POINTS)[0], second.project(POINTS)[0], atol=tolerance, rtol=1e-9)
    torch.testing.assert_close(first.project(POINTS)[1], second.project(POINTS)[1], atol=tolerance, rtol=1e-9)
    return True


def test_a_point_is_seen_where_similar_triangles_put_it():
    camera = Camera(1000.0, (2.0, 0.5), (100, 60), torch.eye(4, dtype=torch.float64))
    pixels, depth = camera.project(torch.tensor([[6.0, -2.0, 500.0]], dtype=torch.float64))
    assert depth.item() == 500
    assert pixels[0].tolist() == pytest.approx([29.5 + 6 * 1000 / 500 / 2, 49.5 - 2 * 1000 / 500 / 0.5])


def test_projecting_and_going_back_to_the_detector_stays_on_the_ray():
    camera = oblique(mirrored=True)
    pixels, _ = camera.project(POINTS)
    a, b = POINTS - camera.source, camera.detector_points(pixels) - camera.source
    assert torch.linalg.cross(a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)).abs().max() < 1e-12
    axis = camera.pose[:3, 2]
    torch.testing.assert_close((b @ axis), torch.full((40,), 1020.0, dtype=torch.float64))


def test_the_shadow_of_a_bead_falls_on_its_projected_pixel():
    data = torch.zeros(1, 9, 9, 9)
    data[0, 4, 4, 4] = 1
    affine = torch.eye(4, dtype=torch.float64) * 4
    affine[3, 3] = 1
    affine[:3, 3] = ISOCENTER + torch.tensor([11.0, -7.0, 23.0]) - 16
    camera = c_arm(ISOCENTER, 1020.0, 620.0, (1.1, 0.7), (240, 320), (25.0, -15.0), (30.0, -20.0))
    image = project(Volume(data, affine), torch.eye(4), camera, 0.5)[0, 0].double()
    row, column = torch.meshgrid(torch.arange(240.0), torch.arange(320.0), indexing="ij")
    seen = torch.stack(((image * column).sum(), (image * row).sum())) / image.sum()
    expected, _ = camera.project(ISOCENTER + torch.tensor([11.0, -7.0, 23.0], dtype=torch.float64))
    torch.testing.assert_close(seen, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_aimed_camera_sees_the_point_in_the_middle_along_the_same_ray(mirrored):
    camera, point = oblique(mirrored), POINTS[3]
    aimed = camera.aimed(point)
    seen = aimed.project(point[None])[0][0]
    assert seen.tolist() == pytest.approx([150.0, 99.5])
    before, after = (c.detector_points(c.project(point[None])[0])[0] for c in (camera, aimed))
    torch.testing.assert_close(before, after)


def test_the_image_of_average_pooling_has_the_resized_camera():
    camera = oblique()
    for factor in (2, 4, 5):
        small = camera.resized(factor)
        assert small.size == (200 // factor, 301 // factor)
        pixels, _ = camera.project(POINTS)
        torch.testing.assert_close(small.project(POINTS)[0], (pixels + 0.5) / factor - 0.5)
    with pytest.raises(RegistrationError, match="leave none"):
        camera.resized(500)


@pytest.mark.parametrize("mirrored", [False, True])
def test_projection_matrices_give_the_camera_back(mirrored):
    camera = oblique(mirrored)
    matrix = camera.projection_matrix
    torch.testing.assert_close(matrix, camera.intrinsics @ torch.linalg.inv(camera.pose)[:3])
    assert same(camera, from_projection_matrix(matrix * 0.01, camera.size, distance=1020.0))
    before = camera.source + 500 * camera.pose[:3, 2]
    assert same(camera, from_projection_matrix(matrix * -7, camera.size, spacing=(1.3, 0.9), before=before))


def test_calibration_that_cannot_be_a_camera_is_refused():
    camera = oblique()
    motion = torch.linalg.inv(camera.pose)
    skewed = camera.intrinsics.clone()
    skewed[0, 1] = 30
    for k, known, words in (
        (skewed, {"distance": 1000.0}, "skew"),
        (camera.intrinsics, {}, "give one of them"),
        (camera.intrinsics, {"spacing": (1.3, 1.3)}, "correct the spacing"),
        (camera.intrinsics * float("nan"), {"distance": 1000.0}, "finite"),
    ):
        with pytest.raises(RegistrationError, match=words):
            from_projection_matrix(k @ motion[:3], camera.size, **known)
    with pytest.raises(RegistrationError, match="parallel"):
        from_projection_matrix(torch.eye(4)[[0, 1, 3]], (10, 10), distance=1000.0)


def test_a_frontal_view_has_the_head_up_and_the_right_side_on_the_left():
    camera = c_arm(ISOCENTER, 1020.0, 620.0, (1.46, 1.46), (256, 256), AP)
    torch.testing.assert_close(camera.source, ISOCENTER - torch.tensor([0, 620.0, 0]))
    (middle, right, head), _ = camera.project(ISOCENTER + torch.tensor([[0.0, 0, 0], [30, 0, 0], [0, 0, 30]]))
    assert middle.tolist() == pytest.approx([127.5, 127.5])
    assert right[0] < middle[0] and right[1] == pytest.approx(127.5)
    assert head[1] < middle[1] and head[0] == pytest.approx(127.5)


@pytest.mark.parametrize(
    "angles, detector",
    [
        ((90, 0), (-1, 0, 0)),
        ((-90, 0), (1, 0, 0)),
        ((0, 30), (0, math.cos(math.pi / 6), 0.5)),
        ((45, 0), (-math.sqrt(0.5), math.sqrt(0.5), 0)),
        ((30, 20), (-math.cos(math.radians(20)) / 2, math.cos(math.radians(20)) * math.sqrt(0.75), 0.34202014)),
    ],
)
def test_positioner_angles_bring_the_detector_where_dicom_says(angles, detector):
    camera = c_arm(ISOCENTER, 1000.0, 600.0, (1.0, 1.0), (64, 64), angles)
    assert camera.pose[:3, 2].tolist() == pytest.approx(detector, abs=1e-7)
    frontal = c_arm(ISOCENTER, 1000.0, 600.0, (1.0, 1.0), (64, 64))
    assert same(camera, turned(frontal, ISOCENTER, angles))


def test_frontal_and_lateral_views_meet_in_the_isocenter_at_right_angles():
    views = [c_arm(ISOCENTER, 1000.0, 600.0, (1.0, 1.0), (300, 300), a) for a in (AP, LATERAL)]
    angle, gap = relation(*views)
    assert angle == pytest.approx(90) and gap == pytest.approx(0, abs=1e-9)
    shifted = views[1].moved(rigid([0.0, 0, 0], [0.0, 0, 12.0]).matrix)
    assert relation(views[0], shifted)[1] == pytest.approx(12)
    check_views(views, POINTS, ["a.png", "b.png"])


def test_views_that_miss_the_ct_or_each_other_are_refused():
    frontal = c_arm(ISOCENTER, 1000.0, 600.0, (1.0, 1.0), (300, 300))
    behind = turned(frontal, frontal.source, (180.0, 0.0))
    aside = frontal.moved(rigid([0.0, 0, 0], [400.0, 0, 0]).matrix)
    beyond = frontal.moved(rigid([0.0, 0, 0], [0.0, -700.0, 0]).matrix)
    for camera, words in ((behind, "behind the X-ray source"), (aside, "outside the beam"), (beyond, "beyond")):
        with pytest.raises(RegistrationError, match=words) as error:
            check_views([camera], POINTS, ["view.png"])
        assert "view.png" in str(error.value)
    with pytest.raises(RegistrationError, match="same geometry"):
        check_views([frontal, frontal], POINTS, ["a.png", "b.png"])
    upper, lower = (c_arm(ISOCENTER + torch.tensor([0, 0, z]), 1000.0, 600.0, (1.0, 1.0), (60, 300)) for z in (45, -45))
    with pytest.raises(RegistrationError, match="contradict"):
        check_views([upper, lower], POINTS, ["a.png", "b.png"])


def test_a_camera_of_impossible_parts_is_refused():
    eye = torch.eye(4, dtype=torch.float64)
    mirror = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))
    for arguments, words in (
        ((0.0, (1.0, 1.0), (4, 4), eye), "distance"),
        ((float("nan"), (1.0, 1.0), (4, 4), eye), "distance"),
        ((1000.0, (1.0, 0.0), (4, 4), eye), "mm"),
        ((1000.0, (1.0, 1.0), (4, 4), mirror), "rigid"),
        ((1000.0, (1.0, 1.0), (4, 4), eye * float("nan")), "rigid"),
    ):
        with pytest.raises(RegistrationError, match=words):
            Camera(*arguments)
