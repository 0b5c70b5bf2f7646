"""The finish of a registration by points: what lies beyond the points is taken from the images."""

import pytest
import torch

from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.registration import Provenance, Registration
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
