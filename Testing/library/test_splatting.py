"""Forward splatting on small clouds whose motion is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.methods.splatting import PRESETS, SplattingOptions, register
from DiffRegLib.methods.splatting.pipeline import for_labels
from DiffRegLib.methods.splatting.thresholds import THRESHOLDS
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Affine, rigid

QUICK = SplattingOptions(search_nodes=200)


def scattered(count: int = 700, seed: int = 0, size: float = 80.0) -> Tensor:
    """Points in an ellipsoid, none closer than 4 mm to another: a pattern that tells its places apart."""
    generator = torch.Generator().manual_seed(seed)
    candidates = (torch.rand(20 * count, 3, generator=generator) - 0.5) * size
    candidates = candidates[(candidates / torch.tensor([0.5, 0.4, 0.45]) / size).norm(dim=1) < 1]
    kept = candidates[:1]
    for point in candidates[1:]:
        if len(kept) == count:
            break
        if (kept - point).norm(dim=1).min() > 4:
            kept = torch.cat((kept, point[None]))
    return kept + torch.tensor([30.0, -50.0, 120.0])


def wave(points: Tensor) -> Tensor:
    """A smooth motion of up to 8 mm whose Jacobian determinant stays above 0.3: the slope is at most 8 * 2 pi / 100."""
    x, y, z = (points - torch.tensor([30.0, -50.0, 120.0])).unbind(-1)
    k = 2 * math.pi / 100
    shift = torch.stack((5 * torch.sin(k * z), 3 * torch.cos(k * x), 8 * torch.sin(k * y + 0.5)), -1)
    return points + shift


def error(transform, points: Tensor, truth: Tensor) -> Tensor:
    return (transform(points) - truth).norm(dim=1)


def test_a_cloud_stays_on_itself():
    cloud = PointCloud.plain(scattered())
    result = register(cloud, cloud, QUICK)
    assert error(result.transform, cloud.points, cloud.points).max() < 0.1


@pytest.mark.parametrize("preset", PRESETS)
def test_rotation_and_shift_are_recovered_by_every_preset(preset):
    x = scattered()
    turn = rigid(torch.tensor([0.0, 10.0, 0.0]), torch.tensor([12.0, 0.0, -16.0]), x.double().mean(0))
    result = register(PointCloud.plain(x), PointCloud.plain(turn(x)), PRESETS[preset])
    assert error(result.transform, x, turn(x)).max() < 0.5


def test_a_smooth_warp_is_recovered_where_a_third_of_the_points_has_no_counterpart():
    x = scattered(1000)
    fixed, moving = x[:800], wave(x[200:])
    before = error(lambda p: p, x, wave(x)).mean()
    result = register(PointCloud.plain(fixed), PointCloud.plain(moving), QUICK)
    assert before > 5
    assert error(result.transform, x, wave(x)).mean() < 0.8
    assert result.transform.jacobian_determinant(Geometry.around(x, 3.0)).data.min() > 0


def test_the_inverse_leads_back_and_tells_its_residual():
    x = scattered()
    result = register(PointCloud.plain(x), PointCloud.plain(wave(x)), QUICK)
    there_and_back = result.inverse(result.transform(x))
    assert error(lambda p: p, there_and_back, x).max() < 0.3
    assert 0 < result.inverse_residual_mm < 1


def test_labels_keep_apart_what_positions_confuse():
    """Two balls swap places: without labels a ball lies on the other one already, with labels it must travel."""
    ball = scattered(150, size=40.0)
    shift = torch.tensor([45.0, 0.0, 0.0])
    fixed = PointCloud.labeled(torch.cat((ball, ball + shift)), [3] * len(ball) + [7] * len(ball))
    moving = PointCloud.labeled(torch.cat((ball + shift, ball + 2 * shift)), [3] * len(ball) + [7] * len(ball))
    options = dataclasses.replace(QUICK, initialization="none")
    result = register(fixed, moving, options)
    assert error(result.transform, fixed.points, fixed.points + shift).mean() < 1
    crossed = PointCloud.labeled(moving.points, [7] * len(ball) + [3] * len(ball))
    wrong = register(fixed, crossed, options)
    assert error(wrong.transform, fixed.points, fixed.points + shift).mean() > 10


def test_many_labels_take_fewer_steps_where_no_number_is_asked_for():
    few, asked = PRESETS["label-maps"], SplattingOptions(fine_iterations=30, stiffness=7.0)
    assert for_labels(SplattingOptions(), THRESHOLDS.many_labels) == few
    assert for_labels(SplattingOptions(), THRESHOLDS.many_labels - 1) == SplattingOptions()
    found = for_labels(asked, THRESHOLDS.many_labels)
    assert (found.fine_iterations, found.stiffness) == (30, 7.0)
    assert found.coarse_iterations == few.coarse_iterations < asked.coarse_iterations


def test_labels_of_one_side_alone_do_not_pull():
    x = scattered()
    stray = scattered(60, seed=5, size=40.0) + torch.tensor([90.0, 0.0, 0.0])
    values = [1] * len(x) + [9] * len(stray)
    fixed = PointCloud.labeled(x, [1] * len(x))
    moving = PointCloud.labeled(torch.cat((x, stray)), values)
    result = register(fixed, moving, QUICK)
    assert error(result.transform, x, x).max() < 0.1


def test_points_of_no_weight_do_not_pull():
    x = scattered()
    stray = torch.cat((x, x + 3.0))
    weights = torch.cat((torch.ones(len(x)), torch.zeros(len(x))))
    result = register(PointCloud.plain(x), PointCloud.plain(stray, weights), QUICK)
    assert error(result.transform, x, x).mean() < 0.1


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_velocity_field_does_not_fold_where_points_cross(symmetric):
    """Points that trade places along x cannot be matched by a smooth map; the flow must stay one to one."""
    x = scattered(300, size=60.0)
    mirrored = x.clone()
    mirrored[:, 0] = 60.0 - x[:, 0]
    options = dataclasses.replace(QUICK, diffeomorphic=True, symmetric=symmetric, stiffness=0.1, fine_iterations=15)
    result = register(PointCloud.plain(x), PointCloud.plain(mirrored), options)
    assert result.transform.jacobian_determinant(Geometry.around(x, 2.0)).data.min() > 0


def test_symmetric_transforms_of_both_directions_are_each_others_inverse():
    x = scattered()
    fixed, moving = PointCloud.plain(x[:500]), PointCloud.plain(wave(x[150:]))
    options = dataclasses.replace(QUICK, symmetric=True, affine_iterations=0, initialization="none", fine_iterations=20)
    result = register(fixed, moving, options)
    assert error(lambda p: result.inverse(result.transform(p)), x, x).max() < 0.3
    assert error(result.transform, x, wave(x)).mean() < 1


def test_the_seed_decides_the_result():
    x = scattered(400)
    clouds = PointCloud.plain(x), PointCloud.plain(wave(x))
    options = dataclasses.replace(QUICK, fine_iterations=10, search_nodes=60)
    first, again = (register(*clouds, options).transform(x) for _ in range(2))
    other = register(*clouds, dataclasses.replace(options, seed=1)).transform(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_callers_random_numbers_are_left_alone():
    x = scattered(50)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    register(PointCloud.plain(x), PointCloud.plain(x), dataclasses.replace(QUICK, fine_iterations=1))
    assert torch.equal(torch.rand(1), expected)


def test_a_given_transform_replaces_the_initialization():
    x = scattered(300)
    start = rigid(torch.tensor([0.0, 0.0, 70.0]), torch.tensor([0.0, 40.0, 0.0]), x.double().mean(0))
    result = register(PointCloud.plain(x), PointCloud.plain(start(x)), QUICK, initial=start)
    assert error(result.transform, x, start(x)).max() < 0.2


def test_landmarks_start_a_registration_that_moments_cannot():
    x = scattered(300)
    turn = rigid(torch.tensor([0.0, 0.0, 150.0]), torch.tensor([0.0, 10.0, 0.0]), x.double().mean(0))
    options = dataclasses.replace(QUICK, initialization="landmarks")
    landmarks = x[:4].double(), turn(x[:4].double())
    result = register(PointCloud.plain(x), PointCloud.plain(turn(x)), options, landmarks=landmarks)
    assert error(result.transform, x, turn(x)).max() < 0.5


def test_moments_match_mean_and_spread():
    from DiffRegLib.methods.splatting.initialize import initial_affine

    x = scattered(300)
    scale, offset = torch.tensor([0.9, 1.2, 1.1]), torch.tensor([5.0, 60.0, -9.0])
    affine = initial_affine(PointCloud.plain(x), PointCloud.plain(x * scale + offset), "moments", None)
    assert isinstance(affine, Affine)
    assert error(affine, x, x * scale + offset).max() < 1e-2


def test_progress_grows_to_one_and_the_trace_tells_every_iteration():
    x = scattered(200)
    fractions = []
    result = register(
        PointCloud.plain(x), PointCloud.plain(wave(x)), QUICK, progress=lambda f, message, **more: fractions.append(f)
    )
    levels = (
        len(QUICK.affine_sigmas) * QUICK.affine_iterations
        + len(QUICK.coarse_sigmas) * QUICK.coarse_iterations
        + len(QUICK.fine_sigmas) * QUICK.fine_iterations
    )
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert len(result.trace) == levels
    assert all(np.isfinite((row.similarity, row.regularization)).all() for row in result.trace)


def test_the_provenance_tells_how_the_result_came_about():
    x = scattered(200)
    options = dataclasses.replace(QUICK, fine_iterations=2, seed=4)
    fixed = PointCloud.plain(x)
    provenance = register(fixed, PointCloud.plain(x + 1), options).provenance
    assert (provenance.method, provenance.seed, provenance.options["fine_iterations"]) == ("splatting", 4, 2)
    assert provenance.inputs["fixed"]["points"] == 200 and provenance.seconds > 0 and provenance.peak_memory_mb > 10
    assert provenance.inputs["fixed"]["sha256"] != provenance.inputs["moving"]["sha256"]


def test_points_without_counterparts_leave_the_shape_to_decide():
    """Disjoint halves of a cloud tell nothing of single points, and the nearest of the other half is a false friend.

    A point that goes more than half the way to it has followed the noise.
    """
    x = scattered(1000)
    options = dataclasses.replace(QUICK, affine_iterations=0)
    result = register(PointCloud.plain(x[::2]), PointCloud.plain(x[1::2]), options)
    friends = torch.cdist(x[::2], x[1::2]).amin(1).mean()
    assert error(result.transform, x, x).mean() < friends / 2
    assert result.transform.jacobian_determinant(Geometry.around(x, 3.0)).data.min() > 0.7


def test_a_cut_cloud_finds_another_start():
    """Where the upper third is missing, mean and spread mislead by many millimeters; the lower ends still agree.

    A point has found its counterpart when it is nearer to it than the last blur, 1.6 mm.
    """
    from DiffRegLib.methods.splatting.initialize import initial_affine

    x = scattered(900)
    cut = PointCloud.plain(x[x[:, 2] < x[:, 2].quantile(0.62)])
    whole = PointCloud.plain(x)
    kept = x[x[:, 2] < x[:, 2].quantile(0.55)]
    start = initial_affine(whole, cut, "moments", None)
    assert error(start, kept, kept).mean() > 6
    result = register(whole, cut, QUICK)
    assert (error(result.transform, kept, kept) < QUICK.fine_sigmas[-1]).float().mean() > 0.8
