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

from DiffRegLib.ops.kernels.cells import corners, f32, i32, interpolate, u32, voxel_coordinate
from DiffRegLib.ops.kernels.compiling import jit
from DiffRegLib.ops.threads import in_parallel, spans

BRICKS = 4096  # at most so many, that the ends of all their lists of points stay in the second-level cache
CHUNK = 16384  # points below which a second thread does not pay


@jit
def _count(points, lo, hi, shape, shift, rows, bricks, histogram):
    depth, height = f32(shape[0]), f32(shape[1])
    for n in range(lo, hi):
        y = i32(np.floor(voxel_coordinate(points[n, 1], height))) + i32(2)
        z = i32(np.floor(voxel_coordinate(points[n, 2], depth))) + i32(2)
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
def _add(grid, i, j, k, depth, height, width, value):
    if 0 <= i < width and 0 <= j < height and 0 <= k < depth:
        grid[(k * height + j) * width + i] += value


@jit
def _splat_one(grid, i, j, k, x, y, z, depth, height, width, value):
    one = f32(1)
    near, far = value * (one - z), value * z
    a, b, c, d = near * (one - y), near * y, far * (one - y), far * y
    if u32(i) < u32(width - 1) and u32(j) < u32(height - 1) and u32(k) < u32(depth - 1):
        p = u32((u32(k) * u32(height) + u32(j)) * u32(width) + u32(i))
        q = u32(p + u32(height * width))
        grid[p] += a * (one - x)
        grid[u32(p + u32(1))] += a * x
        p = u32(p + u32(width))
        grid[p] += b * (one - x)
        grid[u32(p + u32(1))] += b * x
        grid[q] += c * (one - x)
        grid[u32(q + u32(1))] += c * x
        q = u32(q + u32(width))
        grid[q] += d * (one - x)
        grid[u32(q + u32(1))] += d * x
    else:
        for upper in range(2):
            u = x if upper else one - x
            _add(grid, i + upper, j, k, depth, height, width, a * u)
            _add(grid, i + upper, j + 1, k, depth, height, width, b * u)
            _add(grid, i + upper, j, k + 1, depth, height, width, c * u)
            _add(grid, i + upper, j + 1, k + 1, depth, height, width, d * u)


@jit
def _splat_slabs(records, slab_start, slabs, grid, shape):
    depth, height, width = shape
    for slab in slabs:
        for n in range(slab_start[slab], slab_start[slab + 1]):
            x = voxel_coordinate(records[n, 0], f32(width))
            y = voxel_coordinate(records[n, 1], f32(height))
            z = voxel_coordinate(records[n, 2], f32(depth))
            i, j, k = i32(np.floor(x)), i32(np.floor(y)), i32(np.floor(z))
            x, y, z = x - f32(i), y - f32(j), z - f32(k)
            for c in range(grid.shape[0]):
                _splat_one(grid[c], i, j, k, x, y, z, depth, height, width, records[n, 3 + c])


@jit
def _gather_range(records, lo, hi, volume, shape, slopes):
    """Replaces each record's weights by its samples and, if wanted, its point by the slope."""
    depth, height, width = shape
    for n in range(lo, hi):
        x = voxel_coordinate(records[n, 0], f32(width))
        y = voxel_coordinate(records[n, 1], f32(height))
        z = voxel_coordinate(records[n, 2], f32(depth))
        i, j, k = i32(np.floor(x)), i32(np.floor(y)), i32(np.floor(z))
        x, y, z = x - f32(i), y - f32(j), z - f32(k)
        sx = sy = sz = f32(0)
        for c in range(volume.shape[0]):
            value, dx, dy, dz = interpolate(corners(volume[c], i, j, k, depth, height, width), x, y, z)
            weight = records[n, 3 + c]
            sx += weight * dx
            sy += weight * dy
            sz += weight * dz
            records[n, 3 + c] = value
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
    for parity in (0, 1):
        if len(slab_start) > parity + 1:
            in_parallel(
                lambda slabs: _splat_slabs(records, slab_start, slabs, grid, shape), _groups(slab_start, parity)
            )


def _gather_item(points, weights, volume, shape, values, slopes):
    """Writes the samples (C,N), and unless `slopes` is empty their weighted gradient (N,3)."""
    records, slots, _ = _binned(points, weights, shape)
    wanted = slopes.shape[0] > 0
    parts = spans(points.shape[0], CHUNK)
    in_parallel(lambda part: _gather_range(records, *part, volume, shape, wanted), parts)
    in_parallel(lambda part: _unsort(records, *part, slots, values, slopes), parts)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def splat(points: Tensor, values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The grid (B,C,D,H,W) of values (B,C,N) at points (B,N,3)."""
    grid = torch.zeros(*values.shape[:2], *shape)
    for item in zip(_array(points), _array(values), grid.flatten(2).numpy(), strict=True):
        _splat_item(*item, shape)
    return grid


def sample(volume: Tensor, points: Tensor) -> Tensor:
    """The values (B,C,N) of a volume (B,C,D,H,W) at points (B,N,3)."""
    values, no_slopes = torch.empty(*volume.shape[:2], points.shape[1]), np.empty((0, 3), np.float32)
    for place, source, target in zip(_array(points), _array(volume.flatten(2)), values.numpy(), strict=True):
        _gather_item(place, target, source, tuple(volume.shape[2:]), target, no_slopes)
    return values


def gather(volume: Tensor, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (B,C,N), and the gradient (B,N,3) to the points of their sum weighted by `weights` (B,C,N)."""
    values, slopes = torch.empty_like(weights, memory_format=torch.contiguous_format), torch.empty(points.shape)
    arrays = (_array(points), _array(weights), _array(volume.flatten(2)), values.numpy(), slopes.numpy())
    for place, weight, source, target, slope in zip(*arrays, strict=True):
        _gather_item(place, weight, source, tuple(volume.shape[2:]), target, slope)
    return values, slopes
