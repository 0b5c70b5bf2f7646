"""The descent of image-driven registration on problems whose minimum is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from DiffRegLib.dense.descent import descend


@dataclass
class Valley:
    """E(x) = x^4 / 4 + 1; the step asked for is `factor` times Newton's, -x / 3. `seen`: where E was taken."""

    factor: float
    seen: list[float] = field(default_factory=list)

    def linearized(self, state):
        self.seen.append(state)
        return state**4 / 4 + 1, 0.0, state

    def solved(self, state, normal):
        step = -self.factor * normal / 3
        return step, abs(step)

    def moved(self, state, step, part):
        return state + part * step


def test_newtons_steps_end_in_the_valley():
    steps = []
    end = descend(Valley(1.0), 8.0, 12, 1.0, steps.append)
    assert end == pytest.approx(8 * (2 / 3) ** 11)  # the eleven steps before the last look
    assert [step.iteration for step in steps] == list(range(12))


def test_a_step_too_long_is_halved_until_the_energy_falls():
    valley = Valley(13.5)  # x -> -3.5 x, half of it x -> -1.25 x, a quarter x -> -0.125 x
    assert descend(valley, 8.0, 4, 1.0, lambda step: None) == -1.0
    assert valley.seen == [8.0, -28.0, -10.0, -1.0]


@pytest.mark.parametrize("factor", [-1.0, 60.0])
def test_where_no_part_of_a_step_lowers_the_energy_the_level_ends(factor):
    valley, steps = Valley(factor), []
    assert descend(valley, 5.0, 20, 1.0, steps.append) == 5.0
    assert len(valley.seen) == 5 and len(steps) == 1  # the start, the step, its half, its quarter and its eighth


def test_what_is_returned_has_been_looked_at():
    for iterations in range(1, 6):
        valley = Valley(1.0)
        assert descend(valley, 8.0, iterations, 1.0, lambda step: None) == valley.seen[-1]


def test_a_short_step_is_the_last():
    valley = Valley(1.0)
    assert descend(valley, 0.045, 9, 1.0, lambda step: None) == valley.seen[-1] == pytest.approx(0.03)
    assert len(valley.seen) == 2  # the step is 0.015 of a voxel; 0.02 is short
