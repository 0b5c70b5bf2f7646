"""Pose estimation against poses that are known because the radiographs were projected from them."""

import dataclasses

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.projective import PoseOptions, register
from DiffRegLib.transforms import Affine, rigid
from Testing.library.radiographed import CENTER, QUICK, Radiograph, attenuation, distance, far, near, patient, xray


@pytest.fixture(scope="module")
def ct():
    return patient()


def test_a_far_pose_is_found_and_described(ct):
    truth = far()
    found = register(ct, [xray(ct, truth)], QUICK)
    assert distance(ct, found.pose, truth) < 0.05
    assert (found.verdict, found.appearance, found.polarity) == ("converged", "same", "positive")
    assert found.rotation_degrees == pytest.approx(25.4, abs=1.5)
    assert found.translation_mm == pytest.approx((20, -15, 12), abs=0.05)
    assert found.similarity > 0.999
    assert found.trace and found.trace[-1].similarity <= found.trace[0].similarity
    point = CENTER + 7
    torch.testing.assert_close(found.inverse(found.pose(point)), point)


def test_a_start_is_used(ct):
    truth = rigid([2.0, 65.0, -3.0], [60.0, 10.0, 30.0], CENTER)
    start = near() @ truth
    options = dataclasses.replace(QUICK, search=False)
    assert distance(ct, register(ct, [xray(ct, truth)], options, initial=start).pose, truth) < 0.05


@pytest.mark.parametrize("shown", ["dark bones", "gamma"])
def test_an_unknown_grey_scale_and_another_body(ct, shown):
    truth = near()
    other = ct.data.clone()
    other[other < 200] += 40 * torch.sin(ct.grid()[..., 2] / 15)[None][other < 200]
    clean = xray(Image(other, ct.affine), truth)
    scaled = clean.image / clean.image.max()
    image = -(scaled**0.6) if shown == "dark bones" else scaled**1.7
    found = register(ct, [Radiograph(image, clean.camera, kind="log")], QUICK)
    assert found.appearance == "different"
    assert found.polarity == ("negative" if shown == "dark bones" else "positive")
    assert distance(ct, found.pose, truth) < 1.5


@pytest.mark.parametrize("search", [True, False])
def test_the_views_need_not_have_the_same_polarity(ct, search):
    truth = near()
    frontal, lateral = (xray(ct, truth, side) for side in ("frontal", "lateral"))
    views = [
        Radiograph(frontal.image**1.3, frontal.camera, kind="log"),
        Radiograph(-lateral.image, lateral.camera, kind="log"),
    ]
    found = register(ct, views, dataclasses.replace(QUICK, search=search))
    assert found.polarity == "positive, negative" and distance(ct, found.pose, truth) < 1.0


def test_two_views_show_the_depth_that_one_does_not(ct):
    truth, generator = far(), torch.Generator().manual_seed(0)
    views = [xray(ct, truth, "frontal"), xray(ct, truth, "lateral")]
    noisy = [dataclasses.replace(v, image=v.image + 0.03 * torch.randn(64, 64, generator=generator)) for v in views]
    one, two = register(ct, noisy[:1], QUICK), register(ct, noisy, QUICK)
    assert distance(ct, two.pose, truth) < 0.5
    assert one.uncertainty.depth_mm > 2 * max(one.uncertainty.shift_mm)
    assert two.uncertainty.depth_mm < 0.5 * one.uncertainty.depth_mm


@pytest.mark.parametrize(
    "optimizer, similarity",
    [
        ("gauss-newton", "ncc"),
        ("gauss-newton", "gradient-ncc"),
        ("gauss-newton", "local-ncc"),
        ("gauss-newton", "mse"),
        ("sgd", "gradient-ncc"),
        ("adam", "patch-ncc"),
        ("lbfgs", "ncc"),
        ("cma", "gradient-ncc"),
    ],
)
def test_every_optimizer_works_alone(ct, optimizer, similarity):
    if optimizer == "cma":
        pytest.importorskip("cma")
    truth, start = near(), rigid([2.0, 0.0, 3.0], [3.0, 4.0, -3.0], CENTER)
    size = 48 if similarity == "local-ncc" else 32  # neighborhoods of a pixel see nothing of voxels as wide as two
    options = PoseOptions(
        search=False,
        optimizer=optimizer,
        similarity=similarity,
        levels=(size,),
        descent_iterations=100,
        learning_rate=0.004,
        appearance="same",
        polarity="positive",
    )
    found = register(ct, [xray(ct, truth, size=size)], options, initial=start)
    assert distance(ct, found.pose, truth) < distance(ct, start, truth) / 3
    assert len(found.trace) > 2 or optimizer == "gauss-newton"  # which the stages before may have left nothing to do


def test_the_search_alone_comes_near(ct):
    found = register(ct, [xray(ct, far())], dataclasses.replace(QUICK, optimizer="none"))
    assert distance(ct, found.pose, far()) < 5


def test_a_picture_of_something_else_is_no_match(ct):
    other = Image(ct.data.flip(1, 2).roll(9, 3), ct.affine)
    seen = xray(other, rigid([0.0, 80.0, 0.0], [0.0, 0.0, 0.0], CENTER))
    options = dataclasses.replace(QUICK, rounds=1, search_rotation=5.0, search_translation=5.0)
    found = register(ct, [seen], options)
    assert found.verdict in ("doubtful", "failed") and found.reason


def test_a_descent_that_stops_early_is_not_believed(ct):
    start = rigid([2.0, 0.0, 3.0], [3.0, 4.0, -3.0], CENTER)
    options = PoseOptions(search=False, optimizer="sgd", descent_iterations=3, levels=(64,), appearance="same")
    found = register(ct, [xray(ct, near())], options, initial=start)
    assert found.verdict != "converged" and found.uncertainty.unfinished_mm > 2


def test_the_same_seed_gives_the_same_pose(ct):
    seen = xray(ct, far())
    first, second = (register(ct, [seen], QUICK).pose.matrix for _ in range(2))
    assert torch.equal(first, second)


def test_attenuation_instead_of_hounsfield(ct):
    truth = near()
    assert distance(ct, register(attenuation(ct), [xray(ct, truth)], QUICK).pose, truth) < 0.05


def test_the_mask_hides_an_instrument(ct):
    truth = near()
    seen = xray(ct, truth)
    mask = torch.ones(64, 64, dtype=torch.bool)
    mask[20:40, 28:36] = False
    image = torch.where(mask, seen.image, 50.0)
    found = register(ct, [dataclasses.replace(seen, image=image, mask=mask)], QUICK)
    assert distance(ct, found.pose, truth) < 0.05


def test_the_time_limit_ends_the_work_with_what_there_is(ct):
    options = dataclasses.replace(QUICK, time_limit=0.1, optimizer="sgd", tolerance=0.0, descent_iterations=100000)
    found = register(ct, [xray(ct, far())], options)
    assert found.verdict != "converged" and found.provenance.seconds < 20


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x: dataclasses.replace(x, image=torch.full((64, 64), 3.0)), "constant"),
        (lambda x: dataclasses.replace(x, image=x.image.clone().fill_(torch.nan)), "not numbers"),
        (lambda x: dataclasses.replace(x, image=x.image[:32]), "shape"),
        (lambda x: dataclasses.replace(x, mask=torch.zeros(64, 64, dtype=torch.bool)), "mask"),
    ],
)
def test_a_bad_radiograph_is_refused(ct, change, words):
    with pytest.raises(RegistrationError, match=words):
        register(ct, [change(xray(ct, near()))], QUICK)


@pytest.mark.parametrize(
    "shift, words", [((0.0, -900.0, 0.0), "behind the source"), ((900.0, 0.0, 0.0), "outside the beam")]
)
def test_a_start_that_the_camera_cannot_see_is_refused(ct, shift, words):
    with pytest.raises(RegistrationError, match=words):
        register(ct, [xray(ct, near())], QUICK, initial=Affine.translation(torch.tensor(shift)))


def test_bad_input_is_refused(ct):
    seen = xray(ct, near())
    with pytest.raises(RegistrationError, match="No X-ray"):
        register(ct, [], QUICK)
    with pytest.raises(RegistrationError, match="Hounsfield"):
        register(Image(ct.data + 5000, ct.affine), [seen], QUICK)
    with pytest.raises(RegistrationError, match="NaN"):
        register(Image(ct.data * torch.nan, ct.affine), [seen], QUICK)
    with pytest.raises(RegistrationError, match="not rigid"):
        register(ct, [seen], QUICK, initial=Affine(torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0]))))
    with pytest.raises(RegistrationError, match="patch-ncc"):
        register(ct, [seen], dataclasses.replace(QUICK, similarity="patch-ncc"))


def test_the_number_of_threads_is_given_back(ct):
    before = torch.get_num_threads()
    register(ct, [xray(ct, near())], dataclasses.replace(QUICK, search=False))
    assert torch.get_num_threads() == before
