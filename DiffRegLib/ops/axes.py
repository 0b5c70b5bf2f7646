"""Separable linear maps of volumes: a matrix along each axis, as fast as the matrix products of the machine.

Every builder returns one dense (m, n) matrix for an axis of n voxels; `filter_axes` applies three of them. Its adjoint
is `filter_axes` with the transposed matrices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

REACH = 3.5
"""Standard deviations after which a Gaussian ends."""


def filter_axes(volume: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """(..., D, H, W) -> (..., D', H', W'): applies an (m, n) matrix along each of the last three axes."""
    volume = matrices[1] @ (volume @ matrices[2].T)
    plane = volume.shape[-2:]
    return (matrices[0] @ volume.flatten(-2)).unflatten(-1, plane)


def transposed(matrices: Sequence[Tensor]) -> list[Tensor]:
    """The matrices of the adjoint map."""
    return [matrix.T for matrix in matrices]


def gaussian(n: int, sigma: float, like: Tensor) -> Tensor:
    """(n, n) Gaussian mean with a standard deviation in voxels; weights are renormalized at the border."""
    index = torch.arange(n, device=like.device, dtype=like.dtype)
    distance = index[:, None] - index
    if sigma <= 0:
        return torch.eye(n).to(like)
    weights = torch.exp(-((distance / sigma) ** 2) / 2) * (distance.abs() <= max(1.0, REACH * sigma))
    return weights / weights.sum(1, keepdim=True)


def box(n: int, radius: int, like: Tensor) -> Tensor:
    """(n, n) mean over the voxels at most `radius` away; weights are renormalized at the border."""
    index = torch.arange(n, device=like.device)
    weights = ((index[:, None] - index).abs() <= radius).to(like.dtype)
    return weights / weights.sum(1, keepdim=True)


def linear(at: Tensor, n: int) -> Tensor:
    """(m, n) linear interpolation at (m,) voxel coordinates, the border's value beyond it."""
    at = at.clamp(0, n - 1)
    return (1 - (at[:, None] - torch.arange(n, device=at.device, dtype=at.dtype)).abs()).clamp(min=0)


def blurring(at: Tensor, n: int, sigma: float) -> Tensor:
    """(m, n) Gaussian mean around (m,) voxel coordinates, sigma in voxels; linear interpolation where it is narrow."""
    if sigma < 0.4:  # a narrower Gaussian reads some of the coordinates from one voxel alone
        return linear(at, n)
    distance = at.clamp(0, n - 1)[:, None] - torch.arange(n, device=at.device, dtype=at.dtype)
    weights = torch.exp(-((distance / sigma) ** 2) / 2) * (distance.abs() <= max(1.0, REACH * sigma))
    return weights / weights.sum(1, keepdim=True)


def cubic_spline(at: Tensor, n: int) -> Tensor:
    """(m, n) values at (m,) coordinates of the n cubic B-splines that are centered on 0 ... n - 1."""
    t = (at[:, None] - torch.arange(n, device=at.device, dtype=at.dtype)).abs()
    return torch.where(t < 1, 2 / 3 - t**2 + t**3 / 2, (2 - t).clamp(min=0) ** 3 / 6)


def cosine(n: int, like: Tensor) -> Tensor:
    """(n, n) orthonormal cosine transform (DCT-II), lowest frequency first: the eigenvectors of second differences."""
    frequency = torch.arange(n, dtype=torch.float64)[:, None]
    place = torch.arange(n, dtype=torch.float64) + 0.5
    matrix = torch.cos(math.pi / n * frequency * place) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix.to(like)
