"""How fast a descent goes, and when it has no more to say."""

from __future__ import annotations

from collections.abc import Sequence

import torch

MEMORY = 10  # losses of which the deviation tells when a descent has come to rest


def cyclic_rate(base: float, peak: float, iteration: int, cycle: int) -> float:
    """The learning rate of SGD: from `base` linearly to `peak` times as much and back, once in `cycle` iterations."""
    phase = (iteration % cycle) / cycle
    return base * (1 + (peak - 1) * (1 - abs(2 * phase - 1)))


def deviation(losses: Sequence[float]) -> float:
    """Standard deviation of the last 10 losses; infinite before there are as many."""
    last = torch.tensor(losses[-MEMORY:], dtype=torch.float64)
    return float(last.std(correction=0)) if len(losses) >= MEMORY else float("inf")
