"""Triangles and circles: the synthetic set of GradICON and NePhi, images of one slice with a shape in each.

L. Tian et al., GradICON, CVPR 2023, and NePhi, ECCV 2024, section 5: 128 x 128 pixels; centers are even in 0.4 to 0.7
of the side, radii in 0.2 to 0.4, the edge is tanh(40 d) of the signed distance d.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.image import Image

EDGE = 40.0
SIDES = 3


def triangles_and_circles(count: int, hollow: bool = False, size: int = 128, seed: int = 0) -> list[Image]:
    """Images (1, 1, size, size) in [0, 1] with pixels of 1 mm, each with a triangle or a circle as chance has it.

    hollow: the outline alone.
    """
    generator = torch.Generator().manual_seed(seed)
    affine = torch.eye(4, dtype=torch.float64)
    return [Image(_shape(generator, hollow, size)[None, None], affine) for _ in range(count)]


def _shape(generator: torch.Generator, hollow: bool, size: int) -> Tensor:
    cx, cy, radius, turn, kind = torch.rand(5, generator=generator).tolist()
    axis = torch.linspace(0, 1, size)
    y, x = torch.meshgrid(axis - (0.4 + 0.3 * cy), axis - (0.4 + 0.3 * cx), indexing="ij")
    radius = 0.2 + 0.2 * radius
    distance = torch.hypot(x, y)
    if kind > 0.5:
        sector = 2 * math.pi / SIDES
        angle = (torch.atan2(y, x) + 2 * math.pi * turn) % sector - sector / 2
        distance = distance - radius * math.cos(sector / 2) / torch.cos(angle)
    else:
        distance = distance - radius
    inside = torch.tanh(-EDGE * distance)
    return 1 - inside**2 if hollow else (inside + 1) / 2
