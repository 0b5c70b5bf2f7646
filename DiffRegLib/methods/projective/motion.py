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
    rotation = matrix[:3, :3]
    sine = torch.stack(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    ).norm()
    return torch.rad2deg(torch.atan2(sine, rotation.trace() - 1)).item()
