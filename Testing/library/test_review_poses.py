"""The review of a pose: the ellipse on the detector in closed form, lights of verdicts, and its page."""

import json

import numpy as np
import pytest
import torch

from DiffRegLib.camera import Camera
from DiffRegLib.review.page.document import document
from DiffRegLib.review.pose_pictures import AFTER, BEFORE, SURE, outline, pose_pictures, with_ellipse
from DiffRegLib.review.poses import NINETY_FIVE, Ellipse, PoseCase, PoseView, ellipse, review_pose
from DiffRegLib.review.radiographs import RadiographPair
from DiffRegLib.review.stored import write_pose_review

DISTANCE, DEPTH, PITCH = 1000.0, 500.0, 0.5
SHIFTS = (0.4, 0.1, 3.0)  # mm along the axes of the first camera


def camera(turn=torch.eye(3, dtype=torch.float64)):  # noqa: B008  never changed
    """Looks at the origin from DEPTH mm away, its axes those of `turn`."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = turn
    pose[:3, 3] = -DEPTH * turn[:, 2]
    return Camera(DISTANCE, (PITCH, PITCH), (64, 64), pose)


def case(verdict="converged", cameras=None, covariance=None):
    image = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    pair = RadiographPair("X-ray", image, torch.ones(64, 64, dtype=torch.bool), image, image.flip(1))
    full = np.diag([0.0, 0.0, 0.0, *(s**2 for s in SHIFTS)]).tolist() if covariance is None else covariance
    facts = {
        "verdict": verdict,
        "reason": "" if verdict == "converged" else "another pose explains it as well",
        "similarity": 0.8,
        "change": {"mm": 3.0, "degrees": 2.0},
        "uncertainty": {
            "point_mm": 1.0,
            "depth_mm": SHIFTS[2],
            "shift_mm": list(SHIFTS[:2]),
            "rotation_degrees": [0.1, 0.2, None],
            "covariance": full,
        },
    }
    views = tuple(PoseView(pair, one) for one in cameras or [camera()])
    return PoseCase("pelvis", views, torch.zeros(3, dtype=torch.float64), facts)


def test_ellipse_is_the_shifts_magnified_onto_the_detector():
    made = case()
    found = ellipse(made, made.views[0])
    pixels = NINETY_FIVE * DISTANCE / DEPTH / PITCH
    assert found.axes == pytest.approx((SHIFTS[0] * pixels, SHIFTS[1] * pixels))
    assert found.degrees % 180 == pytest.approx(0.0, abs=1e-6) or found.degrees % 180 == pytest.approx(180.0)
    assert (found.column, found.row) == pytest.approx((31.5, 31.5))


def test_depth_of_the_first_view_is_what_a_view_from_the_side_sees():
    side = torch.tensor([[0.0, 0, 1], [0.0, 1, 0], [-1.0, 0, 0]], dtype=torch.float64)  # its columns run along -z
    made = case(cameras=[camera(), camera(side)])
    pixels = NINETY_FIVE * DISTANCE / DEPTH / PITCH
    assert ellipse(made, made.views[1]).axes == pytest.approx((SHIFTS[2] * pixels, SHIFTS[1] * pixels))


def test_what_the_radiographs_do_not_show_has_no_ellipse_and_is_said_so():
    unknown = np.diag([0.0, 0, 0, 1, 1, 1]).tolist()
    unknown[5][5] = None
    made = case(covariance=unknown)
    assert ellipse(made, made.views[0]) is None
    assert "uncertainty: unknown" in document([review_pose(made)], "pose")


def test_verdicts_are_lights_and_the_page_says_why():
    lights = {verdict: review_pose(case(verdict)).light for verdict in ("converged", "doubtful", "failed")}
    assert lights == {"converged": "green", "doubtful": "amber", "failed": "red"}
    page = document([review_pose(case("doubtful"))], "pose")
    assert "Another pose explains it as well." in page and "<ellipse" in page and "contours of the CT after" in page
    assert np.isnan(review_pose(case()).score("pose_turn").after)


def test_an_outline_is_the_pixels_of_its_ellipse():
    drawn = Ellipse(30.0, 24.0, (20.0, 8.0), 30.0)
    row, column = np.argwhere(outline(drawn, (50, 60))).T
    turn = np.radians(30.0)
    x, y = column - 30.0, row - 24.0
    along, across = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    assert np.abs(np.hypot(along / 20, across / 8) - 1).max() < 0.71 / 8 * 1.3  # half the diagonal of a pixel
    assert len(row) > 60  # and nowhere open: about the length of the line, 93, in steps along rows or columns
    assert not outline(Ellipse(500.0, 500.0, (5.0, 5.0), 0.0), (50, 60)).any()


def test_pictures_show_contours_of_both_poses_and_the_ellipse_and_are_stored(tmp_path):
    from PIL import Image

    made = review_pose(case())
    pictures = {picture.key: picture for picture in pose_pictures(made, made.case.views[0])}
    for key, color in (("before", BEFORE), ("after", AFTER)):
        assert (pictures[key].pixels == np.array(color)).all(-1).any(), key
    assert (with_ellipse(pictures["uncertainty"]) == np.array(SURE)).all(-1).any()
    write_pose_review(made, tmp_path)
    facts = json.loads((tmp_path / "review.json").read_text("utf-8"))
    assert facts["light"] == "green" and [p["key"] for p in facts["xrays"][0]["pictures"]] == list(pictures)
    stored = np.asarray(Image.open(tmp_path / "after_1.png"))
    assert stored.shape == (64, 64, 3)
    assert np.abs(stored / 255 - pictures["after"].pixels).max() <= 0.5 / 255
