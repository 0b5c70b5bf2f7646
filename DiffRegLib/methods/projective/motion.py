"""Small motions of a pose: turns about the patient's center and shifts along the axes of the first camera.

Six numbers move a pose, in this order: turns about the camera's x, y and z axes, then shifts along them. z is depth. A
turn is counted in mm as well, as the way of a point 100 mm from the center, so that the six are of one size.
"""

from __future__ import annotations

import torch
from torch import Tensor

RADIUS = 100.0  # mm; a turn of one unit moves a point at this distance from the axis by one mm


def twists(axes: Tensor, center: Tensor) -> Tensor:
    """Generators (6,4,4) float64 of the motions in the world of the cameras, each of one mm.

    axes: (3,3), the columns are the camera's axes in the world; center: (3,) RAS mm, the point that turns leave.
    """
    generators = torch.zeros(6, 4, 4, dtype=torch.float64, device=center.device)
    for k in range(3):
        x, y, z = axes[:, k]
        turn = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64, device=center.device) / RADIUS
        generators[k, :3, :3] = turn
        generators[k, :3, 3] = -turn @ center
        generators[3 + k, :3, 3] = axes[:, k]
    return generators


def moved(pose: Tensor, generators: Tensor, step: Tensor) -> Tensor:
    """exp(sum_k step_k G_k) pose: (4,4) for a step (6,), (B,4,4) for (B,6). Differentiable to step."""
    algebra = torch.einsum("...k,kij->...ij", step.to(generators.dtype), generators)
    return torch.matrix_exp(algebra) @ pose


def step_between(first: Tensor, second: Tensor, generators: Tensor) -> Tensor:
    """The step (6,) that moves one pose (4,4) to another, to first order: for poses a few degrees apart at most."""
    change = second @ torch.linalg.inv(first) - torch.eye(4, dtype=first.dtype, device=first.device)
    return torch.linalg.lstsq(generators.flatten(1).T, change.flatten()[:, None]).solution[:, 0]


def turn_degrees(matrix: Tensor) -> float:
    """Angle of the rotation in a rigid (4,4)."""
    return torch.rad2deg(_turned(matrix[:3, :3])[1]).item()


def turns(rotations: Tensor) -> Tensor:
    """(...,3): axes of rotations (...,3,3) in the world, as long as their angles in radians, which are below pi.

    `roma` has it as well, at the price of a second at every start.
    """
    axis, angle = _turned(rotations)
    return axis * (angle / axis.norm(dim=-1).clamp(min=1e-9))[..., None]


def _turned(rotations: Tensor) -> tuple[Tensor, Tensor]:
    """Axes (...,3), as long as twice the sine of the angle, and angles (...) in radians of rotations (...,3,3)."""
    differences = rotations - rotations.transpose(-1, -2)
    axis = torch.stack([differences[..., i, j] for i, j in ((2, 1), (0, 2), (1, 0))], -1)
    return axis, torch.atan2(axis.norm(dim=-1), rotations.diagonal(dim1=-2, dim2=-1).sum(-1) - 1)
