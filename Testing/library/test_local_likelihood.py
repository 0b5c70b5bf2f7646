"""The local likelihood against what it is the likelihood of."""

import math

import pytest
import torch
from scipy.ndimage import gaussian_filter

from DiffRegLib.similarity import LocalLikelihood, LocalNormalization
from DiffRegLib.similarity.local_likelihood import UNEXPLAINED

SIZE, SIGMA = 40, 2.0


def smooth(seed=0, sigma=1.5):
    rng = torch.Generator().manual_seed(seed)
    image = torch.randn(SIZE, SIZE, generator=rng, dtype=torch.float64).numpy()
    return torch.from_numpy(gaussian_filter(image, sigma)) / 0.2


def cost(target, image, mask=None, weight=None):
    mask = torch.ones(SIZE, SIZE, dtype=torch.float64) if mask is None else mask
    weight = mask / mask.sum() if weight is None else weight
    return LocalLikelihood(target, mask, SIGMA).linearized(image, image[None] * 0, weight).cost


def test_a_linear_relation_explains_all():
    """But for SILENT, which is what neighborhoods of little contrast are left with."""
    image, nothing = smooth(), math.log1p(1 / UNEXPLAINED)
    assert cost(3 * image - 7, image) < 0.03 * nothing
    assert cost(3 * image - 7, image) == pytest.approx(cost(image, 3 * image - 7))


def test_a_relation_that_differs_from_place_to_place_explains_most():
    image = smooth()
    gain = 1 + 0.5 * torch.linspace(-1, 1, SIZE, dtype=torch.float64)
    assert cost(gain * image + 2 * gain, image) < 0.2 * cost(smooth(seed=1), image)


def test_the_opposite_and_the_flat_explain_nothing():
    image, nothing = smooth(), math.log1p(1 / UNEXPLAINED)
    assert cost(-image, image) == pytest.approx(nothing)
    assert cost(image, torch.full_like(image, 4.0)) == pytest.approx(nothing)


def test_contrast_alone_changes_nothing_however_little_is_explained():
    target = smooth() + 0.7 * smooth(seed=1)
    assert cost(target, 0.01 * smooth()) == pytest.approx(cost(target, smooth()), rel=1e-6)


def test_one_neighborhood_has_the_likelihood_of_its_correlation():
    """The values of a neighborhood around the middle, weighted by its Gaussian, correlate by r."""
    target, image = smooth() + 0.7 * smooth(seed=1), smooth()
    mask, weight = torch.ones(SIZE, SIZE, dtype=torch.float64), torch.zeros(SIZE, SIZE, dtype=torch.float64)
    weight[SIZE // 2, SIZE // 2] = 1
    near = LocalNormalization(mask, SIGMA, 0.0)
    share = near.spread(weight[None])[0].flatten()
    shown = [pair - near.mean(pair[None])[0] for pair in (target, image)]
    expected = 0.0
    for first, second in ((target, image), shown):
        a, b = (x.flatten() - (x.flatten() * share).sum() for x in (first, second))
        r = (share * a * b).sum() / ((share * a * a).sum() * (share * b * b).sum()).sqrt()
        expected += float(torch.log1p((1 - r.clamp(min=0) ** 2) / UNEXPLAINED)) / 2
    assert cost(target, image, weight=weight) == pytest.approx(expected, rel=0.02)  # SILENT is added to each variance


def test_spreading_is_the_transpose_of_averaging():
    mask = torch.rand(SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mask[:7] = 0
    near, first, second = LocalNormalization(mask, SIGMA, 0.0), smooth()[None], smooth(seed=1)[None]
    torch.testing.assert_close((near.mean(first) * second).sum(), (first * near.spread(second)).sum())


def test_the_pull_is_half_the_slope_of_the_cost():
    mask = torch.ones(SIZE, SIZE, dtype=torch.float64)
    mask[:, :6] = 0
    weight = mask * (1 + smooth(seed=4).abs())
    weight = weight / weight.sum()
    target, image = smooth() + 0.5 * smooth(seed=1), smooth()
    motions = torch.stack([smooth(seed=2), smooth(seed=3)])
    found = LocalLikelihood(target, mask, SIGMA).linearized(image, motions, weight)
    for motion, pull in zip(motions, found.pull):
        step = 1e-5 * motion
        slope = (cost(target, image + step, mask, weight) - cost(target, image - step, mask, weight)) / 2e-5
        assert -2 * float(pull.sum()) == pytest.approx(slope, rel=0.02, abs=1e-4)  # SILENT is held constant


def test_the_curvature_is_that_of_the_cost_where_the_images_agree():
    """Near a perfect match Gauss-Newton leaves nothing out."""
    image, motions = smooth(), torch.stack([smooth(seed=2), smooth(seed=3)])
    mask = torch.ones(SIZE, SIZE, dtype=torch.float64)
    found = LocalLikelihood(image, mask, SIGMA).linearized(image, motions, mask / mask.sum())
    step = 3e-3
    for k, motion in enumerate(motions):
        costs = [cost(image, image + sign * step * motion) for sign in (-1, 0, 1)]
        curvature = (costs[0] - 2 * costs[1] + costs[2]) / step**2
        assert 2 * float(found.curvature[k, k]) == pytest.approx(curvature, rel=0.1)
    assert torch.linalg.eigvalsh(found.curvature).min() > 0


def test_where_little_is_explained_a_flatter_image_explains_no_more():
    """Squared differences of images that are normalized with a floor are smaller where the image is flat."""
    target, image = smooth() + 1.5 * smooth(seed=1), smooth()
    flatter, inside = image.clone(), torch.zeros(SIZE, SIZE, dtype=torch.float64)
    flatter[:, SIZE // 2 :] *= 0.2
    inside[:, SIZE // 2 + 14 :] = 1  # what lies beyond the reach of the border between the halves
    weight = inside / inside.sum()
    assert cost(target, flatter, weight=weight) == pytest.approx(cost(target, image, weight=weight), rel=0.02)
    normal = LocalNormalization(torch.ones(SIZE, SIZE, dtype=torch.float64), SIGMA, 0.3)
    squares = [
        float((weight * (normal(target[None]) - normal(shown[None]))[0] ** 2).sum()) for shown in (image, flatter)
    ]
    assert squares[1] < 0.95 * squares[0]
