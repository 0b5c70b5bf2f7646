"""Splat and sample in plain torch: short, any device, any floating type, differentiable as often as wanted.

Both read the same eight corners of a point's cell with the same trilinear weights, which makes them adjoint by
construction. They are the definition that the fused kernels are tested against.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor


def sample_reference(volume: Tensor, points: Tensor) -> Tensor:
    """Trilinear values (B,C,N) of `volume` (B,C,D,H,W) at normalized `points` (B,N,3)."""
    channels, flat = volume.shape[1], volume.flatten(2)
    out = volume.new_zeros(volume.shape[0], channels, points.shape[1])
    for index, weight, _ in _corners(points, volume.shape[2:]):
        out = out + flat.gather(2, index[:, None].expand(-1, channels, -1)) * weight[:, None].to(volume.dtype)
    return out


def splat_reference(points: Tensor, values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The grid (B,C,D,H,W) that receives `values` (B,C,N) at normalized `points` (B,N,3)."""
    batch, channels, _ = values.shape
    out = values.new_zeros(batch, channels, shape[0] * shape[1] * shape[2])
    for index, weight, _ in _corners(points, shape):
        weighted = values * weight[:, None].to(values.dtype)
        out = out.scatter_add(2, index[:, None].expand(-1, channels, -1), weighted)
    return out.unflatten(2, tuple(shape))


def gather_reference(volume: Tensor, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (B,C,N) at `points`, and the gradient (B,N,3) of their sum weighted by `weights` (B,C,N)."""
    channels, flat = volume.shape[1], volume.flatten(2)
    sampled = volume.new_zeros(volume.shape[0], channels, points.shape[1])
    slope = torch.zeros_like(points)
    for index, weight, change in _corners(points, volume.shape[2:]):
        value = flat.gather(2, index[:, None].expand(-1, channels, -1))
        sampled = sampled + value * weight[:, None].to(volume.dtype)
        slope = slope + (value * weights).sum(1)[..., None].to(points.dtype) * change
    return sampled, slope


def _corners(points: Tensor, shape: tuple[int, ...]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Flat index (B,N), trilinear weight (B,N) and its derivative (B,N,3) of each of a point's eight corners.

    Corners outside the grid have weight and derivative zero.
    """
    size = torch.tensor(tuple(reversed(shape)), dtype=points.dtype, device=points.device)
    voxel = ((points + 1) * size - 1) / 2
    voxel = torch.where(voxel.isnan(), -2.0, voxel)
    voxel = torch.minimum(voxel.clamp(min=-2.0), size + 1)  # so far outside that no corner is inside, yet finite
    base = voxel.detach().floor()
    upper = voxel - base
    limit = size.long()
    for offset in product((0, 1), repeat=3):
        side = torch.tensor(offset, device=points.device)
        corner = base.long() + side
        inside = ((corner >= 0) & (corner < limit)).all(-1)
        weight = torch.where(side.bool(), upper, 1 - upper) * inside[..., None]
        others = torch.stack(
            [weight[..., 1] * weight[..., 2], weight[..., 0] * weight[..., 2], weight[..., 0] * weight[..., 1]], -1
        )
        x, y, z = torch.minimum(corner.clamp(min=0), limit - 1).unbind(-1)
        yield (z * shape[1] + y) * shape[2] + x, weight.prod(-1), others * (side - 0.5) * size
