"""Similarities of volumes: what MIND-SSC and the local correlation do not see, and what they do."""

import pytest
import torch

from DiffRegLib.similarity import Neighborhoods, lncc, mind_ssc

SIGMA = (2.0, 2.0, 2.0)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mind_has_twelve_channels_between_nothing_and_one():
    features = mind_ssc(noise(9, 10, 11))
    assert features.shape == (12, 9, 10, 11)
    assert features.min() >= 0 and features.max() <= 1
    torch.testing.assert_close(features.amax(0), torch.ones(9, 10, 11, dtype=torch.float64))


@pytest.mark.parametrize("contrast", [3.0, -0.5])
def test_mind_does_not_see_brightness_and_contrast_even_inverted(contrast):
    volume = noise(9, 10, 11)
    torch.testing.assert_close(mind_ssc(40 + contrast * volume), mind_ssc(volume))


def test_mind_moves_with_the_image():
    volume = noise(12, 12, 12)
    moved = volume.roll(2, 0)
    torch.testing.assert_close(mind_ssc(moved)[:, 5:-3], mind_ssc(volume)[:, 3:-5])


def test_mind_of_a_mirrored_volume_is_mirrored_and_its_pairs_permuted():
    volume = noise(9, 10, 11)
    features, mirrored = mind_ssc(volume), mind_ssc(volume.flip(0)).flip(1)
    torch.testing.assert_close(mirrored.sort(0).values, features.sort(0).values)


def test_mind_of_a_flat_volume_is_even():
    assert torch.equal(mind_ssc(torch.full((6, 6, 6), 7.0)), torch.ones(12, 6, 6, 6))


def test_local_correlation_does_not_see_slow_changes_of_brightness_and_contrast():
    volume = noise(24, 24, 24)
    ramp = torch.linspace(0, 1, 24, dtype=torch.float64)
    shaded = (1 + ramp[:, None, None]) * volume + 2 * ramp[None, :, None]
    assert lncc(volume, shaded, SIGMA).item() == pytest.approx(1, abs=0.03)
    assert lncc(volume, -shaded, SIGMA).item() == pytest.approx(-1, abs=0.03)
    assert abs(lncc(volume, noise(24, 24, 24, seed=1), SIGMA).item()) < 0.05


def test_local_correlation_is_that_of_the_whole_where_the_neighborhood_is_large():
    first, second = noise(8, 8, 8), noise(8, 8, 8, seed=1) + 0.5 * noise(8, 8, 8)
    expected = torch.corrcoef(torch.stack((first.flatten(), second.flatten())))[0, 1]
    assert lncc(first, second, (500.0,) * 3).item() == pytest.approx(float(expected), abs=1e-3)


def test_what_weighs_nothing_has_no_influence():
    first, second = noise(12, 12, 12), noise(12, 12, 12, seed=1)
    weight = torch.zeros(12, 12, 12, dtype=torch.float64)
    weight[2:9, 3:10, 2:11] = 1
    changed = torch.where(weight > 0, second, 50 * noise(12, 12, 12, seed=2))
    torch.testing.assert_close(lncc(first, changed, SIGMA, 0.1, weight), lncc(first, second, SIGMA, 0.1, weight))


def test_the_floor_silences_what_is_fainter():
    edge = (torch.arange(24) > 11).double()[:, None, None].expand(24, 24, 24)
    faint = 0.01 * noise(24, 24, 24)
    normalized = Neighborhoods(edge, SIGMA, 0.2).normalized(edge + faint)
    assert normalized[:4].abs().max() < 0.3
    assert normalized[12].mean() > 0.5


def test_gradients_are_those_of_the_formula():
    first, second = (noise(5, 6, 7, seed=s).requires_grad_() for s in (0, 1))
    assert torch.autograd.gradcheck(lambda a, b: lncc(a, b, SIGMA, 0.2), (first, second))
