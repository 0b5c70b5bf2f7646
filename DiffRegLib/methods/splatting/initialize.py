"""Where a registration starts."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.splatting.thresholds import THRESHOLDS
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Affine, fit_affine, fit_rigid


def initial_affine(fixed: PointCloud, moving: PointCloud, kind: str, landmarks: tuple[Tensor, Tensor] | None) -> Affine:
    """Fixed -> moving by `initialization`; raises `RegistrationError` where landmarks are asked for but not given."""
    if kind == "none":
        return Affine.identity()
    if kind == "landmarks":
        return _from_landmarks(landmarks)
    (mean, spread), (target, target_spread) = moments(fixed), moments(moving)
    scale = target_spread / spread if kind == "moments" else torch.ones(3, dtype=torch.float64)
    return _scaling(scale, target - scale * mean)


def further_affines(fixed: PointCloud, moving: PointCloud) -> list[Affine]:
    """Other starts, for clouds of which one is cut: equal centers without scaling, and equal ends.

    Of the axes, the one along which the spreads differ most is taken for the cut one: no scaling there, and either the
    lower or the upper ends of both clouds on each other, mean and spread along the others.
    """
    (mean, spread), (target, target_spread) = moments(fixed), moments(moving)
    scale = target_spread / spread
    axis = int(scale.log().abs().argmax())
    scale[axis] = 1
    affines = [_scaling(torch.ones_like(scale), target - mean)]
    for end in (THRESHOLDS.end, 1 - THRESHOLDS.end):
        offset = target - scale * mean
        offset[axis] = _quantile(moving, axis, end) - _quantile(fixed, axis, end)
        affines.append(_scaling(scale, offset))
    return affines


def _scaling(scale: Tensor, offset: Tensor) -> Affine:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.diag(scale)
    matrix[:3, 3] = offset
    return Affine(matrix)


def _quantile(cloud: PointCloud, axis: int, share: float) -> float:
    ordered = cloud.points[:, axis].sort().values
    return float(ordered[round(share * (len(ordered) - 1))])


def moments(cloud: PointCloud) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation along each axis, (3,) float64 in mm; a flat axis has the deviation 1."""
    points, weights = cloud.points.double().cpu(), cloud.weights.double().cpu()[:, None]
    mean = (weights * points).sum(0) / weights.sum()
    spread = ((weights * (points - mean) ** 2).sum(0) / weights.sum()).sqrt()
    return mean, torch.where(spread > 1e-3, spread, torch.ones_like(spread))


def _from_landmarks(landmarks: tuple[Tensor, Tensor] | None) -> Affine:
    if landmarks is None:
        raise RegistrationError(
            "The start is to come from landmarks, but none are given: give the landmarks of both sides, "
            "or choose another initialization."
        )
    fit = fit_affine if len(landmarks[0]) >= THRESHOLDS.fewest_for_affine else fit_rigid
    return fit(*landmarks)
