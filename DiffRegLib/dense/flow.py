"""The flow of a stationary velocity field: where points are carried, forth and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.geometry import Lattice
from DiffRegLib.ops import fields

STEP = 2.0
"""Voxels that a point moves in one step of the integration, at most."""
FEWEST, MOST = 2, 16
"""Steps of an integration."""


def flow(velocity: Tensor, lattice: Lattice, points: Tensor, sign: float = 1.0) -> Tensor:
    """(N, 3) RAS mm points after unit time in a velocity field (3, D, H, W) in mm, constant beyond its grid.

    sign: -1 runs time backwards, which inverts the flow.
    """
    to_voxel = torch.linalg.inv(lattice.affine[:3, :3]).to(velocity)
    speed = (to_voxel @ velocity.flatten(1)).view(velocity.shape)
    farthest = float((speed**2).sum(0).max().sqrt())
    steps = min(MOST, max(FEWEST, math.ceil(farthest / STEP)))
    return lattice.to_world(fields.flow(speed, lattice.to_voxel(points), steps, sign))
