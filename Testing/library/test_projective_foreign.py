"""X-rays that show more than the CT: its cut ends, another orientation, half of the field, a start that is right."""

import dataclasses
import math

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.projective import PoseOptions, register
from DiffRegLib.methods.projective.crowd import Crowd, evidence
from DiffRegLib.methods.projective.motion import moved
from DiffRegLib.methods.projective.places import WIDE
from DiffRegLib.methods.projective.result import Standing, Uncertainty
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.shifts import Shifts
from DiffRegLib.methods.projective.verdict import judge
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.radiographs.continuation import FAINT, continued, cut_faces, without_padding
from DiffRegLib.radiographs.projection import project
from DiffRegLib.transforms import Affine, rigid
from Testing.library.radiographed import CENTER, attenuation, distance, near, patient, xray

DEPTH = torch.tensor([0, 0, 0, 0, 0, 1.0], dtype=torch.float64)
FOREIGN = PoseOptions(starts=100, levels=(64,), appearance="different")


@pytest.fixture(scope="module")
def trunk():
    """A body with the bones of `patient` that goes on beyond both ends of its 48 slices of 4 mm, in HU."""
    ct = patient()
    points = ct.grid() - CENTER.float()
    inside = (points[..., :2] / torch.tensor([80.0, 60.0])).norm(dim=-1) < 1
    return Image(torch.where(inside[None] & (ct.data < 30), 30.0, ct.data), ct.affine)


def short(ct, cut):
    """Without `cut` slices at either end."""
    affine = ct.affine.clone()
    affine[:3, 3] = ct.to_world(torch.tensor([0.0, 0.0, float(cut)], dtype=torch.float64))
    return Image(ct.data[:, cut:-cut].clone(), affine)


def film(ct, pose):
    """Brighter where more is absorbed, but no line integrals."""
    taken = xray(ct, pose)
    return dataclasses.replace(taken, image=(taken.image / taken.image.max()) ** 1.4, kind="log")


def test_a_face_that_cuts_the_body_is_found_behind_padding(trunk):
    padded = torch.nn.functional.pad(trunk.data, (3, 3, 3, 3, 2, 2), value=-1000.0)
    assert cut_faces(without_padding(Image(padded, trunk.affine)).data[0] > -500) == (
        (True, True),
        (False, False),
        (False, False),
    )


def test_a_body_that_ends_inside_the_ct_is_not_continued():
    volume = attenuation(patient())
    assert continued(volume).whole and not bool(continued(volume).beyond.data.any())


def test_a_continued_cylinder_casts_the_shadow_of_a_longer_one(trunk):
    tall = attenuation(trunk)
    uniform = Image(torch.where(tall.data > 0.01, 0.02, 0.0), tall.affine)
    grown = continued(short(uniform, 10))
    assert grown.cut[0] == (True, True)
    camera = xray(trunk, near()).camera
    whole, guessed = (project(v, near().matrix, camera)[0, 0] for v in (uniform, grown.volume))
    inside = slice(20, 44)  # rows whose rays stay within the longer cylinder
    assert float((whole - guessed)[inside].abs().max()) < 0.03 * float(whole.max())


def test_evidence_does_not_reward_leaving_out():
    correlation = torch.tensor(0.8)
    assert evidence(correlation, torch.tensor(1.0)) > evidence(correlation + 0.1, torch.tensor(0.5))
    assert evidence(-correlation, torch.tensor(1.0)) == 0


def test_a_ray_is_known_as_far_as_the_ct_made_its_attenuation(trunk):
    scene = Scene(attenuation(short(trunk, 14)), views_of([film(trunk, near())]), FOREIGN)
    level, pose = scene.level(32, True), rigid([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], CENTER).matrix[None]
    known = level.known(pose, level.renderer.images(pose))[0][0]
    assert known[16, 16] > 0.9  # through the middle of the 80 mm that the CT has
    assert known[1, 16] < 0.1  # 40 mm above its end, where the body goes on
    assert known[16, 0] > 0.9  # beside the body, where nothing was cut


def test_a_pose_that_sees_less_of_the_ct_knows_less_of_the_field(trunk):
    scene = Scene(attenuation(short(trunk, 14)), views_of([film(trunk, near())]), FOREIGN)
    crowd = Crowd(scene.level(32, True), scene.center, WIDE, 2.0)
    beside = rigid([0.0, 0.0, 0.0], [0.0, 0.0, 110.0], CENTER)
    known = crowd.agreement(torch.stack([near().matrix, beside.matrix])).known[:, 0]
    assert known[1] < 0.7 * known[0] and known[0] < 0.7


def test_a_crowd_climbs_as_each_would_alone(trunk):
    scene = Scene(attenuation(trunk), views_of([film(trunk, near())]), FOREIGN)
    crowd = Crowd(scene.level(32, True), scene.center, WIDE, 2.0)
    starts = torch.stack([rigid([4.0 + k, -3.0, 5.0], [6.0, 8.0 + 3 * k, -5.0], CENTER).matrix for k in range(3)])
    signs = torch.ones(3, 1)
    together = crowd.refined(starts, signs, 6)
    alone = torch.cat([crowd.refined(starts[k : k + 1], signs[:1], 6) for k in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)
    assert (crowd.agreement(together).evidence >= crowd.agreement(starts).evidence - 1e-3).all()


def test_a_ct_that_is_cut_short_keeps_its_pose(trunk):
    start = rigid([1.0, -1.0, 1.0], [3.0, -3.0, 3.0], CENTER) @ near()
    options = dataclasses.replace(FOREIGN, search=False)
    found = register(short(trunk, 12), [film(trunk, near())], options, initial=start)
    assert distance(trunk, found.pose, near()) < 2


def test_a_mirrored_x_ray_is_not_believed():
    taken = film(patient(), near())
    mirrored = dataclasses.replace(taken, image=taken.image.flip(1))
    found = register(patient(), [mirrored], FOREIGN)
    assert found.verdict != "converged" and found.reason and found.remedy
    assert found.standing.oriented > 1.5 * found.standing.evidence
    assert found.standing.orientation == "mirrored left to right"


SURE = Uncertainty((0.1,) * 3, (0.1, 0.1), 0.5, 0.5, 0.1, torch.eye(6))
GOOD = Standing(0.4, 0.8, 0.9, 0.1, 0.2, 80.0, 0.1, 0.2, "mirrored left to right")


@pytest.mark.parametrize(
    "change, verdict, words",
    [
        ({}, "converged", ""),
        ({"oriented": 0.6}, "doubtful", "mirrored left to right"),
        ({"start": 0.5}, "doubtful", "the start"),
        ({"elsewhere": 0.39}, "doubtful", "80 mm away"),
        ({"opposite": 0.39}, "doubtful", "opposite polarity"),
        ({"known": 0.1}, "doubtful", "10 % of the field"),
        ({"evidence": 0.01}, "failed", "no pose"),
    ],
)
def test_a_verdict_compares_with_the_rivals_and_says_what_to_do(change, verdict, words):
    judged = judge(0.8, dataclasses.replace(GOOD, **change), SURE, expired=False)
    assert judged.verdict == verdict and words in judged.reason
    assert bool(judged.remedy) == (verdict != "converged")


def test_a_result_never_scores_below_its_start(trunk):
    found = register(short(trunk, 6), [film(trunk, near())], FOREIGN, initial=near())
    assert found.standing.evidence >= found.standing.start
    assert distance(trunk, found.pose, near()) < 2


@pytest.fixture
def threads():
    """Sets the number of torch's threads, for the test alone."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_two_threads_give_the_pose_of_one(trunk, threads):
    poses, taken = [], film(trunk, near())
    for count in (1, 2):
        threads(count)
        poses.append(register(trunk, [taken], dataclasses.replace(FOREIGN, starts=50)).pose.matrix)
    assert (poses[0] - poses[1]).abs().max() < 1e-6  # mm: equal bits alone, but not always in one process with others


def test_the_polarity_that_is_stated_speaks_of_the_file(trunk):
    taken = film(trunk, near())
    inverted = dataclasses.replace(taken, sign=-1)  # what was read was dark where more is absorbed
    found = register(trunk, [inverted], dataclasses.replace(FOREIGN, polarity="negative", search=False), near())
    assert found.polarity == "negative" and distance(trunk, found.pose, near()) < 2
    assert isinstance(found.pose, Affine)


@pytest.mark.parametrize("degrees", [-25.0, 20.0])
def test_placing_finds_a_shift_along_the_detector_and_a_turn_within_it(trunk, degrees):
    scene = Scene(attenuation(trunk), views_of([film(trunk, near())]), FOREIGN)
    level = scene.level(32)
    camera = level.views[0].camera.pose
    spun = rigid([0.0, 0.0, degrees], [0.0, 0.0, 0.0], torch.zeros(3, dtype=torch.float64)).matrix
    away = rigid([0.0, 0.0, 0.0], [15.0, 0.0, -20.0], CENTER).matrix @ camera @ spun @ torch.linalg.inv(camera)
    start = away @ near().matrix
    places = Shifts(level, 0, 100.0, [math.radians(10.0 * k) for k in range(-4, 5)]).placed(start[None])
    off = min(distance(trunk, Affine(place), near()) for place in places)
    assert off < 12 < 25 < distance(trunk, Affine(start), near())  # turns of 10 degrees, pixels of 6 mm


def test_a_ct_that_is_too_small_in_the_beam_is_told_before_the_search(trunk):
    affine = trunk.affine.clone()
    affine[:3, :3] *= 0.05  # as if its voxels were in cm
    affine[:3, 3] = CENTER - affine[:3, :3] @ torch.tensor([23.5, 23.5, 23.5], dtype=torch.float64)
    told = []
    with pytest.raises(RegistrationError, match="fills 0.. % of the picture.*mm"):
        register(Image(trunk.data, affine), [film(trunk, near())], FOREIGN, progress=lambda *a, **k: told.append(a))
    assert not told


def test_a_ct_of_few_voxels_goes_on_beyond_its_cut_faces(trunk):
    small = Image(trunk.data[:, ::6, ::6, ::6], trunk.affine @ torch.diag(torch.tensor([6.0, 6, 6, 1]).double()))
    wider = continued(attenuation(small)).volume
    assert min(wider.shape) >= min(small.shape) and wider.data.isfinite().all()


def test_the_depth_is_felt_as_it_is_and_not_as_the_samples_ripple():
    """Noise makes every sample of a ray tell another depth; the slope has to be the difference over a millimeter."""
    grain = torch.rand(1, 40, 40, 40, generator=torch.Generator().manual_seed(0))
    volume = Image(0.02 * grain, patient().affine)
    scene = Scene(volume, views_of([xray(patient(), near())]), FOREIGN)
    renderer, pose = scene.level(64).renderer, near().matrix
    generators = Crowd(scene.level(64), scene.center, WIDE, 2.0).generators(pose[None])[0]
    slope = renderer.with_jacobian(pose, generators)[0][1][5]
    before, after = (renderer.images(moved(pose, generators, mm * DEPTH))[0][0] for mm in (-1.0, 1.0))
    seen = (after - before)[8:-8, 8:-8] / 2
    error = (slope[8:-8, 8:-8] - seen).norm() / seen.norm()
    assert error < 0.1  # 0.40 with the sums of the samples as they are


def test_a_uniform_body_goes_on_as_it_is():
    cube = Image(torch.full((1, 20, 20, 20), 0.02), torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0], dtype=torch.float64)))
    cube.data[0, 10, 10, 10] = 0.0  # else there is no padding to tell it from
    wider = continued(cube)
    assert wider.whole is False and all(end for ends in wider.cut for end in ends)
    outside = wider.volume.data[0, 0]
    torch.testing.assert_close(outside, torch.full_like(outside, 0.02), rtol=1e-2, atol=0)
    middle = [n // 2 for n in wider.beyond.shape]
    assert float(wider.beyond.data[0][tuple(middle)]) == 0
    assert float(wider.beyond.data.max()) == pytest.approx(0.02, rel=1e-2)
    assert float(wider.beyond.data[0, 0, 0, 0]) == pytest.approx(FAINT * 0.02, rel=1e-2)
