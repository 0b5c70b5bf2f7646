"""Rigid motions as a Lie group: exponential, logarithm, and geodesic distance under a left-invariant metric.

Angles are radians here. A twist (..., 6) is a turn (rotation vector, radians) followed by a shift (mm).
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALL = 1e-4  # radians below which series replace quotients that would lose their digits


def rotation_exp(vector: Tensor) -> Tensor:
    """(..., 3) rotation vector in radians to (..., 3, 3) rotation; differentiable, also at 0 (Rodrigues)."""
    angle2 = vector.square().sum(-1)[..., None, None]
    cross = _hat(vector)
    return _eye(vector) + _sinc(angle2) * cross + _half_sinc2(angle2) * (cross @ cross)


def rotation_log(rotation: Tensor) -> Tensor:
    """(..., 3, 3) rotation to its vector (..., 3) of length at most pi, in radians; differentiable below pi."""
    quaternion = _quaternion(rotation)
    scalar, vector = quaternion[..., :1], quaternion[..., 1:]
    sine2 = vector.square().sum(-1, keepdim=True)
    tiny = sine2 < SMALL**2
    sine = torch.where(tiny, torch.ones_like(sine2), sine2).sqrt()
    factor = torch.where(tiny, 2 / scalar - 2 * sine2 / (3 * scalar**3), 2 * torch.atan2(sine, scalar) / sine)
    return factor * vector


def se3_exp(twist: Tensor) -> Tensor:
    """(..., 6) twist (radians, mm) to (..., 4, 4) rigid motion: the screw that it generates."""
    turn, shift = twist[..., :3], twist[..., 3:]
    return _rigid(rotation_exp(turn), (_left_jacobian(turn) @ shift[..., None])[..., 0])


def se3_log(motion: Tensor) -> Tensor:
    """(..., 4, 4) rigid motion to its twist (..., 6): the inverse of `se3_exp` below half a turn."""
    turn = rotation_log(motion[..., :3, :3])
    shift = torch.linalg.solve(_left_jacobian(turn), motion[..., :3, 3:])[..., 0]
    return torch.cat((turn, shift), -1)


def geodesic(pose: Tensor, target: Tensor, center: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Squared geodesic distance between poses (..., 4, 4) of a volume, in mm^2 (...,), and its gradient (..., 6).

    The metric counts a turn in mm on a sphere of `radius` mm about the volume's `center` (3,), RAS mm in its own frame:
    with M c the place of the center and phi = log(R R*^T),

        d^2 = radius^2 |phi|^2 + |M c - M* c|^2.

    It is left-invariant: moving the whole world changes nothing. The gradient belongs to a turn (radians) about M c and
    a shift (mm), both along the axes of the world, applied after the pose: (2 radius^2 phi, 2 (M c - M* c)).
    Left-invariant metrics of SE(3): Zefran, Kumar, Croke, IEEE Trans. Robotics and Automation 1998; used as the target
    of a learned similarity: Gao et al., ProST, MICCAI 2020, eq. 7. Differentiable to both poses.
    """
    turn = rotation_log(pose[..., :3, :3] @ target[..., :3, :3].transpose(-1, -2))
    place, goal = (_applied(m, center.to(m)) for m in (pose, target))
    shift = place - goal
    squared = radius**2 * turn.square().sum(-1) + shift.square().sum(-1)
    return squared, torch.cat((2 * radius**2 * turn, 2 * shift), -1)


def perturbed(pose: Tensor, twist: Tensor, center: Tensor) -> Tensor:
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


def _eye(like: Tensor) -> Tensor:
    return torch.eye(3, dtype=like.dtype, device=like.device)


def _hat(v: Tensor) -> Tensor:
    """(..., 3) to the matrices (..., 3, 3) of the cross product with it."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack((o, -z, y, z, o, -x, -y, x, o), -1).unflatten(-1, (3, 3))


def _sinc(angle2: Tensor) -> Tensor:
    """sin(a) / a of a^2."""
    safe = _safe(angle2).sqrt()
    return torch.where(angle2 < SMALL**2, 1 - angle2 / 6, safe.sin() / safe)


def _half_sinc2(angle2: Tensor) -> Tensor:
    """(1 - cos(a)) / a^2 of a^2."""
    safe = _safe(angle2)
    return torch.where(angle2 < SMALL**2, 0.5 - angle2 / 24, (1 - safe.sqrt().cos()) / safe)


def _left_jacobian(turn: Tensor) -> Tensor:
    """(..., 3, 3) mean of the rotations from 0 to `turn`."""
    angle2 = turn.square().sum(-1)[..., None, None]
    safe = _safe(angle2).sqrt()
    cubic = torch.where(angle2 < SMALL**2, 1 / 6 - angle2 / 120, (safe - safe.sin()) / safe**3)
    cross = _hat(turn)
    return _eye(turn) + _half_sinc2(angle2) * cross + cubic * (cross @ cross)


def _safe(angle2: Tensor) -> Tensor:
    return torch.where(angle2 < SMALL**2, torch.ones_like(angle2), angle2)


def _quaternion(r: Tensor) -> Tensor:
    """(..., 4) unit quaternion with its scalar first and not negative, from the largest of its four components."""
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    a, b, c = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    d, e, f = r[..., 0, 1] + r[..., 1, 0], r[..., 0, 2] + r[..., 2, 0], r[..., 1, 2] + r[..., 2, 1]
    rows = (
        (1 + xx + yy + zz, a, b, c),
        (a, 1 + xx - yy - zz, d, e),
        (b, d, 1 - xx + yy - zz, f),
        (c, e, f, 1 - xx - yy + zz),
    )
    candidates = torch.stack([torch.stack(row, -1) for row in rows], -2)
    largest = torch.stack([rows[k][k] for k in range(4)], -1).argmax(-1)
    chosen = candidates.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :]
    unit = chosen / chosen.norm(dim=-1, keepdim=True)
    return torch.where(unit[..., :1] < 0, -unit, unit)
