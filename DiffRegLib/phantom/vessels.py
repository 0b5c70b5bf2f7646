"""A branching tree that fills a lung: every branch runs to the middle of the tissue that it supplies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.phantom.shapes import Tubes


def grow_tree(
    inside: Callable[[Tensor], Tensor],
    box: tuple[tuple[float, float, float], tuple[float, float, float]],
    hilum: tuple[float, float, float],
    root_radius: float,
    terminals: int,
    generator: torch.Generator,
) -> tuple[Tubes, Tensor]:
    """Vessels of one lung and its bifurcations (N, 3) in RAS mm.

    `inside`: a solid, negative where tissue wants supply; `box`: its corners in mm. The tissue is halved at every
    bifurcation; radii follow Murray's law, r^3 = r1^3 + r2^3 (Murray, PNAS 1926).
    """
    tissue = _random_points(inside, box, 24 * terminals, generator)
    segments: list[tuple[np.ndarray, np.ndarray, float]] = []
    forks: list[np.ndarray] = []
    start = np.array(hilum)
    waiting = [(start, tissue, tissue.mean(0) - start)]
    while waiting:
        start, region, direction = waiting.pop()
        end = start + 0.42 * (region.mean(0) - start)
        radius = root_radius * (len(region) / len(tissue)) ** (1 / 3)
        segments += _bent(start, end, direction, radius)
        if len(region) >= 48:
            forks.append(end)
            waiting += [(end, half, end - start) for half in _halves(region, end, end - start)]
    starts, ends, radii = (torch.tensor(np.array(part)) for part in zip(*segments, strict=True))
    return Tubes(starts, ends, radii), torch.tensor(np.array(forks))


def _random_points(
    inside: Callable[[Tensor], Tensor], box: tuple, count: int, generator: torch.Generator
) -> np.ndarray:
    low, high = (torch.tensor(c, dtype=torch.float64) for c in box)
    candidates = low + (high - low) * torch.rand(6 * count, 3, dtype=torch.float64, generator=generator)
    return candidates[inside(candidates) < 0][:count].numpy()


def _halves(region: np.ndarray, fork: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts of the tissue beside the plane that holds the parent vessel and divides the widest spread.

    Neither part is smaller than 30 %, so that no branch starves.
    """
    offset = region - region.mean(0)
    axis = direction / np.linalg.norm(direction)
    across = offset - (offset @ axis)[:, None] * axis
    widest = np.linalg.eigh(across.T @ across)[1][:, -1]
    side = (region - fork) @ widest
    order = np.argsort(side)
    share = int(np.clip((side < 0).sum(), 0.3 * len(side), 0.7 * len(side)))
    return region[order[:share]], region[order[share:]]


def _bent(start: np.ndarray, end: np.ndarray, direction: np.ndarray, radius: float) -> list[tuple]:
    """A branch as a quadratic Bezier curve that leaves in the direction of its parent."""
    control = start + 0.35 * np.linalg.norm(end - start) * direction / np.linalg.norm(direction)
    t = np.linspace(0, 1, 5)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return [(curve[i], curve[i + 1], radius) for i in range(4)]
