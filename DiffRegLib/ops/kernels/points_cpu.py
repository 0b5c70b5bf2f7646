"""Splat, sample and gather on threads.

Points are first brought into the order of bricks of the grid by a stable counting sort (two linear passes), so that the
eight voxels of a point are in the first-level cache. Bricks of one slab of z are added by one thread; first the even
slabs, then the odd ones, as neighbors share a plane of voxels: no two threads ever write the same voxel, and each
voxel receives its points in their original order. The result has the same bits for any number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.ops.kernels.cells import (
    NOWHERE,
    cell_of,
    corner,
    f32,
    flat_index,
    floor_of,
    hat,
    i32,
    is_inside,
    sample_cell,
    u32,
    u64,
    voxel_coordinate,
)
from DiffRegLib.ops.kernels.compiling import jit
from DiffRegLib.ops.threads import in_parallel, spans

BRICKS = 4096  # at most so many, that the ends of all their lists of points stay in the second-level cache
CHUNK = 16384  # points below which a second thread does not pay


@jit
def _count(points, lo, hi, shape, shift, rows, bricks, histogram):
    depth, height = f32(shape[0]), f32(shape[1])
    for n in range(lo, hi):
        y = floor_of(voxel_coordinate(points[n, 1], height)) + i32(2)
        z = floor_of(voxel_coordinate(points[n, 2], depth)) + i32(2)
        brick = u32((u32(z) >> u32(shift)) * u32(rows) + (u32(y) >> u32(shift)))
        bricks[n] = brick
        histogram[brick] += 1


@jit
def _sort(points, values, lo, hi, bricks, start, records, slots):
    channels = values.shape[0]
    for n in range(lo, hi):
        slot = start[bricks[n]]
        start[bricks[n]] = slot + 1
        slots[n] = slot
        for a in range(3):
            records[slot, a] = points[n, a]
        for c in range(channels):
            records[slot, 3 + c] = values[c, n]


@jit
def _unsort(records, lo, hi, slots, values, slopes):
    for n in range(lo, hi):
        slot = slots[n]
        for c in range(values.shape[0]):
            values[c, n] = records[slot, 3 + c]
        if slopes.shape[0] > 0:
            for a in range(3):
                slopes[n, a] = records[slot, a]


@jit
def _splat_slabs(records, slab_start, slabs, grid, channels, shape):
    depth, height, width = shape
    one, step = f32(1), u64(1)
    for s in range(slabs.shape[0]):
        for n in range(slab_start[slabs[s]], slab_start[slabs[s] + 1]):
            i, j, k, x, y, z = cell_of(records[n, 0], records[n, 1], records[n, 2], depth, height, width)
            inside = is_inside(i, j, k, depth, height, width)
            for channel in range(channels):
                value = records[n, 3 + channel]
                start = u64(channel) * u64(depth * height * width)
                if inside:
                    near, far = value * (one - z), value * z
                    a, b, c, d = near * (one - y), near * y, far * (one - y), far * y
                    p = start + flat_index(i, j, k, height, width)
                    q = p + u64(height * width)
                    grid[p] += a * (one - x)
                    grid[p + step] += a * x
                    p += u64(width)
                    grid[p] += b * (one - x)
                    grid[p + step] += b * x
                    grid[q] += c * (one - x)
                    grid[q + step] += c * x
                    q += u64(width)
                    grid[q] += d * (one - x)
                    grid[q + step] += d * x
                    continue
                for number in range(8):
                    p = corner(number, i, j, k, depth, height, width)
                    if p != NOWHERE:
                        u, v, w, _, _, _ = hat(number, x, y, z)
                        grid[start + p] += value * u * v * w


@jit
def _gather_range(records, lo, hi, volume, channels, shape, slopes):
    """Replaces each record's weights by its samples and, if wanted, its point by the slope."""
    depth, height, width = shape
    for n in range(lo, hi):
        i, j, k, x, y, z = cell_of(records[n, 0], records[n, 1], records[n, 2], depth, height, width)
        sx = sy = sz = f32(0)
        for channel in range(channels):
            start = u64(channel) * u64(depth * height * width)
            value, dx, dy, dz = sample_cell(volume, start, i, j, k, x, y, z, depth, height, width)
            weight = records[n, 3 + channel]
            sx += weight * dx
            sy += weight * dy
            sz += weight * dz
            records[n, 3 + channel] = value
        if slopes:
            records[n, 0] = sx * (f32(0.5) * f32(width))
            records[n, 1] = sy * (f32(0.5) * f32(height))
            records[n, 2] = sz * (f32(0.5) * f32(depth))


def _binned(points, values, shape):
    """Records (N, 3+C) in the order of bricks, the slot of each point, and where each slab of z starts."""
    count = points.shape[0]
    shift = 2
    while ((shape[0] + 3 >> shift) + 1) * ((shape[1] + 3 >> shift) + 1) > BRICKS:
        shift += 1
    slabs, rows = (shape[0] + 3 >> shift) + 1, (shape[1] + 3 >> shift) + 1
    bricks, slots = np.empty(count, np.uint32), np.empty(count, np.uint32)
    records = np.empty((count, 3 + values.shape[0]), np.float32)
    parts = list(enumerate(spans(count, CHUNK)))
    histograms = np.zeros((len(parts), slabs * rows), np.int64)
    in_parallel(lambda part: _count(points, *part[1], shape, shift, rows, bricks, histograms[part[0]]), parts)
    ends = np.cumsum(histograms.T).reshape(slabs * rows, len(parts))
    starts = np.ascontiguousarray(ends.T) - histograms
    in_parallel(lambda part: _sort(points, values, *part[1], bricks, starts[part[0]], records, slots), parts)
    return records, slots, np.concatenate(([0], ends[rows - 1 :: rows, -1]))


def _groups(slab_start, parity):
    """Every second slab, in groups of about equally many points, one group a thread."""
    slabs = np.arange(parity, len(slab_start) - 1, 2)
    load = np.cumsum(slab_start[slabs + 1] - slab_start[slabs])
    cuts = [np.searchsorted(load, lo, side="right") for lo, _ in spans(int(load[-1]), CHUNK)[1:]]
    return np.split(slabs, cuts)


def _splat_item(points, values, grid, shape):
    records, _, slab_start = _binned(points, values, shape)
    channels = len(values)
    for parity in (0, 1):
        if len(slab_start) > parity + 1:
            in_parallel(
                lambda slabs: _splat_slabs(records, slab_start, slabs, grid, channels, shape),
                _groups(slab_start, parity),
            )


def _gather_item(points, weights, volume, shape, values, slopes):
    """Writes the samples (C,N), and unless `slopes` is empty their weighted gradient (N,3)."""
    records, slots, _ = _binned(points, weights, shape)
    channels, wanted = len(weights), slopes.shape[0] > 0
    parts = spans(points.shape[0], CHUNK)
    in_parallel(lambda part: _gather_range(records, *part, volume, channels, shape, wanted), parts)
    in_parallel(lambda part: _unsort(records, *part, slots, values, slopes), parts)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def splat(points: Tensor, values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The grid (B,C,D,H,W) of values (B,C,N) at points (B,N,3)."""
    grid = torch.zeros(*values.shape[:2], *shape)
    for item in zip(_array(points), _array(values), grid.flatten(1).numpy(), strict=True):
        _splat_item(*item, shape)
    return grid


def sample(volume: Tensor, points: Tensor) -> Tensor:
    """The values (B,C,N) of a volume (B,C,D,H,W) at points (B,N,3)."""
    values, no_slopes = torch.empty(*volume.shape[:2], points.shape[1]), np.empty((0, 3), np.float32)
    for place, source, target in zip(_array(points), _array(volume.flatten(1)), values.numpy(), strict=True):
        _gather_item(place, target, source, tuple(volume.shape[2:]), target, no_slopes)
    return values


def gather(volume: Tensor, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (B,C,N), and the gradient (B,N,3) to the points of their sum weighted by `weights` (B,C,N)."""
    values, slopes = torch.empty_like(weights, memory_format=torch.contiguous_format), torch.empty(points.shape)
    arrays = (_array(points), _array(weights), _array(volume.flatten(1)), values.numpy(), slopes.numpy())
    for place, weight, source, target, slope in zip(*arrays, strict=True):
        _gather_item(place, weight, source, tuple(volume.shape[2:]), target, slope)
    return values, slopes
