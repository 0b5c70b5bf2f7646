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
    return read_cells(volume, voxels_of(points, volume.shape[2:]))[0]


def splat_reference(points: Tensor, values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The grid (B,C,D,H,W) that receives `values` (B,C,N) at normalized `points` (B,N,3)."""
    return add_cells(values.new_zeros(*values.shape[:2], *shape), voxels_of(points, shape), values)


def gather_reference(volume: Tensor, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (B,C,N) at `points`, and the gradient (B,N,3) of their sum weighted by `weights` (B,C,N)."""
    sampled, slopes = read_cells(volume, voxels_of(points, volume.shape[2:]), slopes=True)
    size = torch.tensor(volume.shape[:1:-1], dtype=points.dtype, device=points.device)
    return sampled, (slopes * weights[..., None]).sum(1).to(points.dtype) * size / 2


def voxels_of(points: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Voxel coordinates (x,y,z) of normalized ones."""
    size = torch.tensor(tuple(reversed(shape)), dtype=points.dtype, device=points.device)
    return ((points + 1) * size - 1) / 2


def read_cells(volume: Tensor, voxels: Tensor, slopes: bool = False) -> tuple[Tensor, Tensor]:
    """Trilinear values (B,C,N) at voxel coordinates (B,N,3), and if wanted their gradient (B,C,N,3), else 0."""
    channels, flat = volume.shape[1], volume.flatten(2)
    sampled = volume.new_zeros(volume.shape[0], channels, voxels.shape[1])
    slope = sampled[..., None].expand(-1, -1, -1, 3)
    for index, (u, v, w), (du, dv, dw) in _corners(voxels, volume.shape[2:]):
        value = flat.gather(2, index[:, None].expand(-1, channels, -1))
        sampled = sampled + value * (u * v * w)[:, None].to(volume.dtype)
        if slopes:
            change = torch.stack([du * v * w, u * dv * w, u * v * dw], -1)
            slope = slope + value[..., None] * change[:, None].to(volume.dtype)
    return sampled, slope


def curve_cells(volume: Tensor, voxels: Tensor, along: Tensor) -> Tensor:
    """Second derivatives (B,C,N,3): how the gradients of `read_cells` change along directions (B,C,N,3)."""
    channels, flat = volume.shape[1], volume.flatten(2)
    curved = torch.zeros_like(along)
    x, y, z = along.unbind(-1)
    for index, (u, v, w), (du, dv, dw) in _corners(voxels, volume.shape[2:]):
        value = flat.gather(2, index[:, None].expand(-1, channels, -1))
        xy, xz, yz = (t[:, None].to(volume.dtype) for t in (du * dv * w, du * v * dw, u * dv * dw))
        curved = curved + value[..., None] * torch.stack([xy * y + xz * z, xy * x + yz * z, xz * x + yz * y], -1)
    return curved


def add_cells(grid: Tensor, voxels: Tensor, values: Tensor, slopes: Tensor | None = None) -> Tensor:
    """The adjoint of `read_cells`: `grid` (B,C,D,H,W) plus values (B,C,N) and slopes (B,C,N,3) at voxels (B,N,3)."""
    flat = grid.flatten(2)
    for index, (u, v, w), (du, dv, dw) in _corners(voxels, grid.shape[2:]):
        share = values * (u * v * w)[:, None].to(values.dtype)
        if slopes is not None:
            change = torch.stack([du * v * w, u * dv * w, u * v * dw], -1)
            share = share + (slopes * change[:, None].to(values.dtype)).sum(-1)
        flat = flat.scatter_add(2, index[:, None].expand(-1, grid.shape[1], -1), share)
    return flat.unflatten(2, grid.shape[2:])


def _corners(voxels: Tensor, shape: tuple[int, ...]) -> Iterator[tuple[Tensor, tuple, tuple]]:
    """Of each of a point's eight corners: flat index (B,N), weights along x, y and z, and their derivatives.

    The weights are zero for a corner outside the grid; a product with one of them is therefore zero.
    """
    limit = torch.tensor(tuple(reversed(shape)), device=voxels.device)
    voxels = torch.where(voxels.isnan(), -2.0, voxels)
    voxels = torch.minimum(voxels.clamp(min=-2.0), limit + 1.0)  # so far outside that no corner is inside, yet finite
    base = voxels.detach().floor()
    upper = voxels - base
    for offset in product((0, 1), repeat=3):
        side = torch.tensor(offset, device=voxels.device)
        corner = base.long() + side
        inside = ((corner >= 0) & (corner < limit)).all(-1)
        weights = torch.where(side.bool(), upper, 1 - upper) * inside[..., None]
        x, y, z = torch.minimum(corner.clamp(min=0), limit - 1).unbind(-1)
        yield (z * shape[1] + y) * shape[2] + x, weights.unbind(-1), tuple(2 * n - 1 for n in offset)
