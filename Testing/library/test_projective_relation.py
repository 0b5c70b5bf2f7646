"""Two X-rays whose relation the C-arm states wrongly: what the images say of it, and of the pose."""

import dataclasses
import math

import pytest
import torch

from DiffRegLib.camera import relation
from DiffRegLib.methods.projective import PoseOptions, register
from DiffRegLib.methods.projective.motion import turn_degrees
from DiffRegLib.transforms import rigid
from Testing.library.radiographed import CENTER, distance, near, patient, xray

KNOWN = PoseOptions(search=False, levels=(64,))
ROUGH = dataclasses.replace(KNOWN, relation_rotation=4.0, relation_translation=4.0)


@pytest.fixture(scope="module")
def ct():
    return patient()


def views(ct, kind, off):
    """A frontal and a lateral X-ray of `near()`; the camera of the second is stated `off` its place."""
    taken = [xray(ct, near(), side) for side in ("frontal", "lateral")]
    if kind == "log":
        taken = [dataclasses.replace(v, image=(v.image / v.image.max()) ** 1.4, kind=kind) for v in taken]
    stated = taken[1].camera.moved(off.matrix)
    return taken[0], dataclasses.replace(taken[1], camera=stated), taken[1].camera


@pytest.mark.parametrize("kind, limit", [("line integral", 0.1), ("log", 1.0)])
def test_a_wrong_relation_is_mended_and_with_it_the_pose(ct, kind, limit):
    off = rigid([2.0, -1.5, 2.5], [3.0, -2.0, 2.0], CENTER)
    first, second, true = views(ct, kind, off)
    start = rigid([1.0, -1.0, 1.0], [3.0, -3.0, 3.0], CENTER) @ near()
    believed, mended = (register(ct, [first, second], o, start) for o in (KNOWN, ROUGH))
    assert distance(ct, mended.pose, near()) < limit < 2 < distance(ct, believed.pose, near())
    left = mended.cameras[1].pose @ torch.linalg.inv(true.pose)
    assert turn_degrees(left) < 0.3 < 3 < turn_degrees(off.matrix)
    assert relation(mended.cameras[0], mended.cameras[1])[0] == pytest.approx(90, abs=0.3)
    assert torch.equal(mended.cameras[0].pose, first.camera.pose)


def test_a_right_relation_stays(ct):
    first, second, true = views(ct, "line integral", rigid([0.0] * 3, [0.0] * 3, CENTER))
    found = register(ct, [first, second], ROUGH, near())
    assert distance(ct, found.pose, near()) < 0.05
    assert turn_degrees(found.cameras[1].pose @ torch.linalg.inv(true.pose)) < 0.05


def test_a_relation_that_is_not_known_leaves_more_doubt(ct):
    first, second, _ = views(ct, "log", rigid([0.0] * 3, [0.0] * 3, CENTER))
    known, rough = (register(ct, [first, second], o, near()) for o in (KNOWN, ROUGH))
    assert rough.uncertainty.point_mm > known.uncertainty.point_mm


def test_one_view_has_no_relation(ct):
    first = views(ct, "line integral", rigid([0.0] * 3, [0.0] * 3, CENTER))[0]
    found, same = (register(ct, [first], o, near()) for o in (ROUGH, KNOWN))
    assert torch.equal(found.pose.matrix, same.pose.matrix) and math.isfinite(found.uncertainty.depth_mm)
