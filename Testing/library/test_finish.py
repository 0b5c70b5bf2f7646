"""The finish of a registration by points: what lies beyond the points is taken from the images."""

import dataclasses

import pytest
import torch

from DiffRegLib.methods import finish
from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.registration import Provenance, Registration
from DiffRegLib.phantom import breathing_phantom
from DiffRegLib.review.metrics import dice
from DiffRegLib.transforms import Affine, Transform
from Testing.library.test_dense import CENTER, carried, error, geometry, pattern, wave


class Half(Transform):
    """What points in one half have found; in the other half nothing moves."""

    def __call__(self, points):
        share = ((points[..., :1] - CENTER[0].to(points)) / 20 + 0.5).clamp(0, 1)
        return points + share * (wave(points) - points)


def test_the_half_without_points_is_found_on_the_images(one_thread):
    moving = pattern(geometry())
    fixed = carried(moving, wave)
    provenance = Provenance("splatting", "1", {}, 0, "cpu", 1.0, 100.0, {})
    begun = Registration(Half(), Half(), (), provenance)
    seen = []
    result = finished(begun, (fixed, moving), "cpu", lambda fraction, message, **details: seen.append(fraction))
    assert error(begun.transform, fixed.geometry, wave).mean() > 1.5
    assert error(result.transform, fixed.geometry, wave).mean() < 0.4
    assert result.inverse_residual_mm < 0.1
    assert result.trace and result.provenance.seconds > 1
    assert seen == sorted(seen) and seen[-1] == pytest.approx(1)


class Wave(Transform):
    """The whole motion, as points that lie exactly have found it."""

    def __call__(self, points):
        return wave(points)


def _inside(count: int = 400):
    """Points of the inner half of the ball."""
    generator = torch.Generator().manual_seed(4)
    return CENTER + (torch.rand(count, 3, generator=generator) - 0.5) * 30


def test_points_hold_where_the_images_are_seen_too_coarsely(one_thread, monkeypatch):
    """Voxels of 2 mm, of which the finish sees blocks of 5 mm: what the points say is finer."""
    monkeypatch.setattr(finish, "OPTIONS", dataclasses.replace(finish.OPTIONS, voxel=5.0))
    moving = pattern(geometry())
    fixed = carried(moving, wave)
    begun = Registration(Wave(), Wave(), (), Provenance("splatting", "1", {}, 0, "cpu", 1.0, 100.0, {}))
    seen = []
    plain, kept = (finished(begun, (fixed, moving), "cpu", points=points) for points in (None, _inside()))
    finished(begun, (fixed, moving), "cpu", lambda f, m, **d: seen.append((f, m)), points=_inside())
    left = [(one.transform(_inside()) - wave(_inside())).norm(dim=1).mean() for one in (plain, kept)]
    assert left[0] > 0.3 and left[1] < 0.5 * left[0]
    mark = CENTER[None].double() + torch.tensor([[0.0, 24.0, 0.0]])  # beyond the points
    both = finished(begun, (fixed, moving), "cpu", landmarks=(mark, wave(mark)), landmark_weight=5.0, points=_inside())
    there = [float((one.transform(mark) - wave(mark)).norm()) for one in (kept, both)]
    assert there[1] < 0.5 * there[0]
    assert kept.trace[-1].stage.startswith("details and points") and kept.trace[-1].level == plain.trace[-1].level + 1
    assert [f for f, _ in seen] == sorted(f for f, _ in seen) and seen[-1][0] == pytest.approx(1)


def test_points_that_lie_worse_than_the_images_say_change_nothing(one_thread):
    moving = pattern(geometry())
    fixed = carried(moving, wave)
    begun = Registration(Half(), Half(), (), Provenance("splatting", "1", {}, 0, "cpu", 1.0, 100.0, {}))
    plain, told = (finished(begun, (fixed, moving), "cpu", points=points) for points in (None, _inside()))
    assert torch.equal(plain.transform(_inside()), told.transform(_inside()))


def test_landmarks_that_pull_are_not_let_go_in_the_finish(one_thread):
    """Of equal images the finish makes the identity, but where a person says otherwise."""
    same = pattern(geometry())
    provenance = Provenance("splatting", "1", {}, 0, "cpu", 1.0, 100.0, {})
    begun = Registration(Affine.identity(), Affine.identity(), (), provenance)
    fixed = CENTER[None].double()
    moving = fixed + torch.tensor([[0.0, 3.0, 0.0]], dtype=torch.float64)
    left = {}
    for weight in (0.0, 100.0):
        found = finished(begun, (same, same), "cpu", landmarks=(fixed, moving), landmark_weight=weight)
        left[weight] = float((found.transform(fixed) - moving).norm())
    assert left[0.0] > 2.5 and left[100.0] < 1.0


def test_the_finish_takes_no_label_of_the_phantom_below_where_it_began(one_thread):
    """Nor below what the true motion, from which it begins, leaves of it where labels are read at the nearest voxel.

    0.005 is 0.1 mm of the surface of the spine, which hardly moves.
    """
    phantom = breathing_phantom(spacing=4.0, noise=20.0)
    fixed, moving = phantom.fixed, phantom.moving
    exact = phantom.transform
    begun = Registration(exact, exact.inverse(), (), Provenance("splatting", "1", {}, 0, "cpu", 1.0, 100.0, {}))
    result = finished(begun, (fixed.image, moving.image), "cpu", points=fixed.vessels.points)
    identity, true, found = (
        dice(fixed.labels, moving.labels.resample(fixed.labels, transform, "nearest"))
        for transform in (Affine.identity(), exact, result.transform)
    )
    assert all(found[label] > min(identity[label], true[label]) - 0.005 for label in found) and len(found) == 12
