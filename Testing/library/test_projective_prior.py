"""Where poses are to be expected in the search, and which of them are taken to their ends."""

import math

import pytest
import roma
import torch

from DiffRegLib.methods.projective import PoseOptions
from DiffRegLib.methods.projective.clock import Aside, Watch
from DiffRegLib.methods.projective.crowd import Crowd
from DiffRegLib.methods.projective.motion import RADIUS, moved, turn_degrees, turns, twists
from DiffRegLib.methods.projective.places import HILL, WIDE, Places, coarse_crowd
from DiffRegLib.methods.projective.prior import PIXELS, SLOPE, Prior
from DiffRegLib.methods.projective.recipe import ALIKE, _finalists
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.transforms import rigid
from Testing.library.radiographed import CENTER, attenuation, near, patient, xray

OPTIONS = PoseOptions(search_rotation=20.0, search_translation=30.0)
START = near().matrix
AXES = torch.linalg.qr(torch.rand(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
EXPECTED = Prior.about(START, CENTER, AXES, OPTIONS)


def generators(pose):
    return twists(AXES, pose[:3, :3] @ CENTER + pose[:3, 3])


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 30.0, 179.0])
def test_turns_are_axes_as_long_as_their_angles(degrees):
    axis = math.radians(degrees) * torch.tensor([2.0, -3.0, 6.0], dtype=torch.float64) / 7
    torch.testing.assert_close(turns(roma.rotvec_to_rotmat(axis)), axis, rtol=1e-6, atol=1e-9)


def test_half_a_turn_is_one():
    assert turn_degrees(torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))) == pytest.approx(180)


@pytest.mark.parametrize("number", range(6))
def test_a_deviation_costs_the_same_in_every_direction(number):
    """Two deviations of a normal distribution: half of their square."""
    far = math.radians(40.0) * RADIUS if number < 3 else 60.0
    pose = moved(START, generators(START), far * torch.eye(6, dtype=torch.float64)[number])
    assert float(EXPECTED.unlikely(pose[None])) == pytest.approx(2.0 / PIXELS)
    assert float(Prior.about(START, CENTER, AXES, OPTIONS, 2.0).unlikely(pose[None])) == pytest.approx(0.5 / PIXELS)


def test_the_gradient_is_that_of_the_cost():
    """Half of what the cost falls by, along each of the six numbers; for turns to second order in their angles."""
    pose = moved(START, generators(START), torch.tensor([8.0, -5.0, 3.0, 12.0, -25.0, 40.0], dtype=torch.float64))
    cost, gradient, curvature = EXPECTED.normal(pose[None])
    steps = torch.eye(6, dtype=torch.float64)
    around = [EXPECTED.normal(moved(pose, generators(pose), h * steps))[0] for h in (-0.5, 0.5)]
    assert float(cost) == pytest.approx(SLOPE * float(EXPECTED.unlikely(pose[None])))
    torch.testing.assert_close(gradient[0], -(around[1] - around[0]) / 2, rtol=0.05, atol=1e-6)
    torch.testing.assert_close(curvature.diagonal(), (around[0] + around[1] - 2 * cost) / 0.5, rtol=0.05, atol=1e-7)


def test_where_the_picture_says_little_a_pose_comes_back():
    """A picture of one bright pixel: the prior leads from five deviations to within two, without it nothing does."""
    seen = xray(patient(), near())
    seen.image.fill_(1.0)
    seen.image[0, 0] = 2.0
    crowd = coarse_crowd(Scene(attenuation(patient()), views_of([seen]), OPTIONS), START)
    lost = moved(START, crowd.generators(START[None])[0], 150 * torch.eye(6, dtype=torch.float64)[5])[None]
    alone = Crowd(crowd.level, crowd.center, WIDE, OPTIONS.outlier)
    away = [
        math.sqrt(2 * PIXELS * float(crowd.prior.unlikely(c.refined(lost, torch.ones(1, 1), 30))))
        for c in (crowd, alone)
    ]
    assert away[0] < 2 and away[1] > 4


def test_what_was_tried_is_not_tried_again():
    scene = Scene(attenuation(patient()), views_of([xray(patient(), near())]), OPTIONS)
    shifted = [rigid([0.0] * 3, [0.0, x, 0.0], CENTER).matrix for x in (0.0, 2 * HILL, 4 * HILL, ALIKE / 2)]
    first, second, third, again = (Candidate(p, s, (1.0,)) for p, s in zip(shifted, (0.5, 0.48, 0.1, 0.0)))
    places = Places([first, second, third], torch.stack(shifted))
    assert _finalists(scene, places, []) == [first, second]
    assert _finalists(scene, places, [again]) == [second]
    assert _finalists(scene, places, [Candidate(again.pose, 0.0, (-1.0,))]) == [first, second]
    assert _finalists(scene, places, [first, second]) == [third]


def test_what_ran_beside_is_told_one_after_the_other():
    told = []
    watch = Watch(0, lambda fraction, message, **details: told.append(details.get("loss")))
    asides = [Aside(watch), Aside(watch)]
    for step in (1, 2, 3):
        for number, aside in enumerate(asides):
            aside.note(128, step, 10.0 * number + step, 0.0, START)
    for aside in asides:
        watch.join(aside)
    assert [row.similarity for row in watch.rows] == [1, 2, 3, 11, 12, 13]
    assert [row.iteration for row in watch.rows] == [1, 2, 3, 1, 2, 3]
    assert len({row.stage for row in watch.rows}) == 2 and [loss for loss in told if loss] == [1, 2, 3, 11, 12, 13]
