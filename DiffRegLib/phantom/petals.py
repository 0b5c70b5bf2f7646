"""Petals: closed surfaces that bulge out a few times around an axis, the toy of registration by splatting.

In spherical angles, polar t and azimuth a, a surface is r(t, a) = R (1 + b sin^2 t cos(n a)), n the number of petals,
and turned about the axis. Two surfaces of one n correspond where the angles are equal before the turn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

RADII = (50.0, 70.0)  # mm
BULGES = (0.2, 0.4)
PETALS = (3, 4, 5)
TURN = 0.5  # of the way to the next petal that a phase may differ, so that the nearest petal is the right one


def petal_pair(draws: torch.Generator, points: int = 1500) -> tuple[Tensor, Tensor]:
    """Two surfaces as corresponding points (N, 3) in mm, row by row."""
    petals = PETALS[int(torch.randint(len(PETALS), (), generator=draws))]
    polar = torch.acos(1 - 2 * torch.rand(points, generator=draws))
    azimuth = 2 * math.pi * torch.rand(points, generator=draws)
    phase = TURN * (torch.rand((), generator=draws) - 0.5) * 2 * math.pi / petals
    sides = []
    for shift in (0.0, float(phase)):
        radius, bulge = (low + (high - low) * torch.rand((), generator=draws) for low, high in (RADII, BULGES))
        sides.append(_surface(polar, azimuth, radius, bulge, petals, shift))
    return sides[0], sides[1]


def _surface(polar: Tensor, azimuth: Tensor, radius: Tensor, bulge: Tensor, petals: int, shift: float) -> Tensor:
    """Points at these angles, the azimuth turned by a shift together with the petals."""
    length = radius * (1 + bulge * polar.sin() ** 2 * torch.cos(petals * azimuth))
    around = azimuth + shift
    flat = length * polar.sin()
    return torch.stack((flat * around.cos(), flat * around.sin(), length * polar.cos()), -1)
