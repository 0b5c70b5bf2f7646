"""Least-squares transforms between paired points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.transforms.linear import Affine

if TYPE_CHECKING:
    from jaxtyping import Float


def fit_rigid(source: Float[Tensor, "N 3"], target: Float[Tensor, "N 3"]) -> Affine:
    """The rotation and translation that bring (N, 3) `source` onto `target` (RAS mm), N >= 3, not on a line.

    Umeyama: Least-squares estimation of transformation parameters between two point patterns, PAMI 1991.
    """
    source, target = _paired(source, target, 3)
    spread = torch.linalg.svdvals((source - source.mean(0)).T @ (target - target.mean(0)))
    if spread[1] < 1e-9 * spread[0].clamp(min=1e-12):
        raise RegistrationError("The paired points lie on one line: add points beside it.")
    import roma  # here, for it brings torch's compiler with it: a second at every start

    return Affine(roma.Rigid(*roma.rigid_points_registration(source, target)).to_homogeneous())


def fit_affine(source: Float[Tensor, "N 3"], target: Float[Tensor, "N 3"]) -> Affine:
    """The affine map that brings (N, 3) `source` onto `target` (RAS mm) with least squares, N >= 4, not in a plane."""
    source, target = _paired(source, target, 4)
    homogeneous = torch.cat((source, torch.ones_like(source[:, :1])), 1)
    if torch.linalg.matrix_rank(homogeneous - homogeneous.mean(0), rtol=1e-6) < 3:
        raise RegistrationError("The paired points lie in one plane: add points outside it, or fit a rigid transform.")
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3] = torch.linalg.lstsq(homogeneous, target).solution.T
    return Affine(matrix)


def _paired(source: Tensor, target: Tensor, least: int) -> tuple[Tensor, Tensor]:
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise RegistrationError(
            f"Paired points must be two (N, 3) arrays, not {tuple(source.shape)} and {tuple(target.shape)}: pair them."
        )
    if len(source) < least:
        raise RegistrationError(f"{len(source)} pairs of points are too few: give at least {least}.")
    return source.detach().double().cpu(), target.detach().double().cpu()
