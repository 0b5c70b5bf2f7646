"""Poses as a Riemannian manifold: geodesic distance under a left-invariant metric, and small motions about a center.

Angles are radians here. A twist (..., 6) is a turn (rotation vector, radians) followed by a shift (mm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


def rotation_exp(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """(..., 3) rotation vector in radians to (..., 3, 3) rotation; twice differentiable, also at 0.

    Not by RoMa: the second derivative of its exponential is wrong below 1e-6 radians, and training needs it at 0.
    """
    x, y, z = vector.unbind(-1)
    o = torch.zeros_like(x)
    return torch.linalg.matrix_exp(torch.stack((o, -z, y, z, o, -x, -y, x, o), -1).unflatten(-1, (3, 3)))


def geodesic(
    pose: Float[Tensor, "*batch 4 4"],
    target: Float[Tensor, "*batch 4 4"],
    center: Float[Tensor, 3],
    radius: float,
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch 6"]]:
    """Squared geodesic distance between poses (..., 4, 4) of a volume, in mm^2 (...,), and its gradient (..., 6).

    The metric counts a turn in mm on a sphere of `radius` mm about the volume's `center` (3,), RAS mm in its own frame:
    with M c the place of the center and phi = log(R R*^T),

        d^2 = radius^2 |phi|^2 + |M c - M* c|^2.

    It is left-invariant: moving the whole world changes nothing. The gradient belongs to a turn (radians) about M c and
    a shift (mm), both along the axes of the world, applied after the pose: (2 radius^2 phi, 2 (M c - M* c)).
    Left-invariant metrics of SE(3): Zefran, Kumar, Croke, IEEE Trans. Robotics and Automation 1998; used as the target
    of a learned similarity: Gao et al., ProST, MICCAI 2020, eq. 7. Differentiable to both poses.
    """
    import roma  # here, for it brings torch's compiler with it: a second at every start

    turn = roma.rotmat_to_rotvec(pose[..., :3, :3] @ target[..., :3, :3].transpose(-1, -2))
    place, goal = (_applied(m, center.to(m)) for m in (pose, target))
    shift = place - goal
    squared = radius**2 * turn.square().sum(-1) + shift.square().sum(-1)
    return squared, torch.cat((2 * radius**2 * turn, 2 * shift), -1)


def perturbed(
    pose: Float[Tensor, "*batch 4 4"], twist: Float[Tensor, "*batch 6"], center: Float[Tensor, 3]
) -> Float[Tensor, "*batch 4 4"]:
    """The pose (..., 4, 4) after a small turn about the place of `center` (3,) and a shift, twist (..., 6).

    Differentiable to both; its derivative at a zero twist is the one that `geodesic` gives.
    """
    rotation = rotation_exp(twist[..., :3])
    place = _applied(pose, center.to(pose))
    offset = place + twist[..., 3:] - (rotation @ place[..., None])[..., 0]
    return _rigid(rotation.expand(*offset.shape[:-1], 3, 3), offset) @ pose


def _applied(motion: Tensor, point: Tensor) -> Tensor:
    return (motion[..., :3, :3] @ point[:, None])[..., 0] + motion[..., :3, 3]


def _rigid(rotation: Tensor, translation: Tensor) -> Tensor:
    top = torch.cat((rotation, translation[..., None]), -1)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0]).to(top).expand(*top.shape[:-2], 1, 4)
    return torch.cat((top, bottom), -2)
