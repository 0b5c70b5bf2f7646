"""What hides parts of simulated X-rays."""

import pytest
import torch

from DiffRegLib.methods.projective.simulation import collimated, instruments


def test_collimators_and_instruments_hide_some_of_the_x_rays():
    draws = [torch.Generator().manual_seed(n) for n in range(200)]
    inside, metal = collimated(draws, (24, 32), 0.5)[:, 0], instruments(draws, (24, 32), 0.25)[:, 0]
    assert inside.unique().tolist() == [0, 1]
    part = inside.mean((1, 2))
    assert (part < 1).double().mean() == pytest.approx(0.5, abs=0.1) and part.min() > 0.1
    assert inside[:, 10:14, 14:18].mean() > 0.95  # the middle is exposed
    shown = metal.amax((1, 2)) > 0
    assert shown.double().mean() == pytest.approx(0.25, abs=0.08)
    assert 1 <= metal[metal > 0].min() and metal.max() <= 2 * 4
    assert not instruments(draws, (24, 32), 0.0).any() and collimated(draws, (24, 32), 0.0).all()
