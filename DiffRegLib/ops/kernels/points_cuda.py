"""Splat, sample and gather on CUDA: one thread a point, the channels one after another."""

from __future__ import annotations

import torch
from numba import cuda
from torch import Tensor

from DiffRegLib.ops.kernels.cells import cell_of, f32, spread, u64
from DiffRegLib.ops.kernels.launching import add_cell, compiled, launch, read_cell, scale_for, unscaled


@compiled
def splat_points(points, values, sums, scale, channels, depth, height, width):
    """points (B,N,3), values (B*C*N), sums (B*C*DHW) int64; the second axis of the launch is the batch."""
    n, b = cuda.grid(2)
    count = points.shape[1]
    if n >= count:
        return
    i, j, k, x, y, z = cell_of(points[b, n, 0], points[b, n, 1], points[b, n, 2], depth, height, width)
    for c in range(channels):
        row = b * channels + c
        value = f32(values[row * count + n] * scale[0])
        start = u64(row) * u64(depth * height * width)
        shares = spread(value, f32(0), f32(0), f32(0), x, y, z)
        add_cell(sums, start, i, j, k, shares, depth, height, width)


@compiled
def gather_points(points, weights, volume, bf16, sloped, values, slopes, channels, depth, height, width):
    """points (B,N,3), weights and values (B*C*N), volume (B*C*DHW), slopes (B*N*3) or anything unless `sloped`."""
    n, b = cuda.grid(2)
    count = points.shape[1]
    if n >= count:
        return
    i, j, k, x, y, z = cell_of(points[b, n, 0], points[b, n, 1], points[b, n, 2], depth, height, width)
    sx = sy = sz = f32(0)
    for c in range(channels):
        row = b * channels + c
        start = u64(row) * u64(depth * height * width)
        value, dx, dy, dz = read_cell(volume, bf16, start, i, j, k, x, y, z, depth, height, width)
        values[row * count + n] = value
        if sloped:
            weight = weights[row * count + n]
            sx += weight * dx
            sy += weight * dy
            sz += weight * dz
    if sloped:
        at = (b * count + n) * 3
        slopes[at] = sx * (f32(0.5) * f32(width))
        slopes[at + 1] = sy * (f32(0.5) * f32(height))
        slopes[at + 2] = sz * (f32(0.5) * f32(depth))


def splat(points: Tensor, values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The grid (B,C,D,H,W) of values (B,C,N) at points (B,N,3)."""
    batch, channels, count = values.shape
    wide = values.float().contiguous()
    sums = torch.zeros(batch, channels, *shape, dtype=torch.int64, device=values.device)
    if sums.numel() and count:
        scale = scale_for(wide, 1.0)
        launch(splat_points, count, batch, points.float(), wide.view(-1), sums.view(-1), scale, channels, *shape)
        return unscaled(sums, scale).to(values.dtype)
    return sums.to(values.dtype)


def sample(volume: Tensor, points: Tensor) -> Tensor:
    """The values (B,C,N) of a volume (B,C,D,H,W) at points (B,N,3)."""
    values = torch.empty(*volume.shape[:2], points.shape[1], device=volume.device)
    return _gather(volume, points, values, values, values.new_empty(1), False)


def gather(volume: Tensor, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (B,C,N), and the gradient (B,N,3) to the points of their sum weighted by `weights` (B,C,N)."""
    slopes = torch.empty(points.shape, device=volume.device)
    values = torch.empty(weights.shape, device=volume.device)
    return _gather(volume, points, weights.float(), values, slopes, True), slopes.to(points.dtype)


def _gather(volume, points, weights, values, slopes, sloped: bool) -> Tensor:
    batch, channels, *shape = volume.shape
    flat, bf16 = volume.contiguous().view(-1), volume.dtype == torch.bfloat16
    arrays = (points.float(), weights.contiguous().view(-1), flat, bf16, sloped, values.view(-1), slopes.view(-1))
    launch(gather_points, points.shape[1], batch, *arrays, channels, *shape)
    return values.to(volume.dtype)
