"""Splat, sample and gather on threads.

Points are first brought into the order of bricks of the grid, so that the eight voxels of a point are in the
first-level cache. Bricks of one slab of z are added by one thread; first the even slabs, then the odd ones, as
neighbors share a plane of voxels: no two threads ever write the same voxel, and each voxel receives its points in their
original order. The result has the same bits for any number of threads. A slab's planes are cleared just before they are
added to, while they are on their way through the caches anyway.

To gather, blocks of points pass loop after loop: where they are, then the fetching of their voxels as four pairs each,
then the arithmetic, so that many fetches are under way at a time.
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
    hat,
    interpolate,
    is_inside,
    u32,
    u64,
)
from DiffRegLib.ops.kernels.compiling import jit
from DiffRegLib.ops.kernels.pairs import copy_pair
from DiffRegLib.ops.kernels.sorting import CHUNK, Slabs, parts_of, sort
from DiffRegLib.ops.threads import in_parallel, spans

BLOCK = 64  # points
OUTSIDE = u32(2**32 - 1)


@jit
def _clear(grid, slab, shift, odd, channels, shape):
    """Sets a slab's planes of voxels to zero; those that two slabs share belong to the even one."""
    depth, area = shape[0], shape[1] * shape[2]
    low, high = (slab << shift) - 2, ((slab + 1) << shift) - 1
    if odd:
        low, high = low + 1, high - 1
    low, high = max(low, 0), min(high, depth)
    for channel in range(channels):
        start = u64(channel * depth + low) * u64(area)
        for p in range(u64(max(high - low, 0)) * u64(area)):
            grid[start + p] = f32(0)


@jit
def _splat_slabs(records, slab_start, slabs, shift, grid, channels, shape):
    depth, height, width = shape
    one, step = f32(1), u64(1)
    for s in range(slabs.shape[0]):
        _clear(grid, slabs[s], shift, slabs[s] & 1, channels, shape)
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
def _locate(records, lo, count, shape, places, fractions):
    """Flat index of the first voxel of each point's cell, OUTSIDE unless all eight are in the grid, and fractions."""
    depth, height, width = shape
    for r in range(count):
        i, j, k, x, y, z = cell_of(records[lo + r, 0], records[lo + r, 1], records[lo + r, 2], depth, height, width)
        inside = is_inside(i, j, k, depth, height, width)
        places[r] = u32(flat_index(i, j, k, height, width)) if inside else OUTSIDE
        fractions[r], fractions[r + BLOCK], fractions[r + 2 * BLOCK] = x, y, z


@jit
def _fetch(records, lo, count, volume, start, shape, places, corners):
    """The eight voxels of each point's cell as four pairs a point; zero outside the grid."""
    depth, height, width = shape
    row, plane = u64(width), u64(height * width)
    for r in range(count):
        to = u64(2 * r)
        if places[r] != OUTSIDE:
            q = start + u64(places[r])
            copy_pair(corners, to, volume, q)
            copy_pair(corners, to + u64(2 * BLOCK), volume, q + row)
            copy_pair(corners, to + u64(4 * BLOCK), volume, q + plane)
            copy_pair(corners, to + u64(6 * BLOCK), volume, q + plane + row)
            continue
        i, j, k, _, _, _ = cell_of(records[lo + r, 0], records[lo + r, 1], records[lo + r, 2], depth, height, width)
        for number in range(8):
            q = corner(number, i, j, k, depth, height, width)
            at = to + u64((number >> 1) * 2 * BLOCK + (number & 1))
            corners[at] = volume[start + q] if q != NOWHERE else f32(0)


@jit
def _gather_range(records, lo, hi, volume, channels, shape, found):
    """Writes the slopes (if `found` has room for them) and the samples of sorted points to found (N, 3 + C or C)."""
    places, fractions = np.empty(BLOCK, np.uint32), np.empty(3 * BLOCK, np.float32)
    corners, sums = np.empty(8 * BLOCK, np.float32), np.empty(4 * BLOCK, np.float32)
    weights, first = np.empty(BLOCK, np.float32), found.shape[1] - channels
    voxels, wanted = u64(shape[0] * shape[1] * shape[2]), first > 0
    size = f32(0.5) * f32(shape[2]), f32(0.5) * f32(shape[1]), f32(0.5) * f32(shape[0])
    for n in range(lo, hi, BLOCK):
        count = min(BLOCK, hi - n)
        _locate(records, n, count, shape, places, fractions)
        sums[:] = f32(0)
        for channel in range(channels):
            _fetch(records, n, count, volume, u64(channel) * voxels, shape, places, corners)
            if wanted:
                for r in range(count):
                    weights[r] = records[n + r, 3 + channel]
            for r in range(BLOCK):
                a, one = u64(2 * r), u64(1)
                b, c, d = a + u64(2 * BLOCK), a + u64(4 * BLOCK), a + u64(6 * BLOCK)
                value, dx, dy, dz = interpolate(
                    corners[a], corners[a + one], corners[b], corners[b + one],
                    corners[c], corners[c + one], corners[d], corners[d + one],
                    fractions[r], fractions[r + BLOCK], fractions[r + 2 * BLOCK],
                )  # fmt: skip
                sums[r + 3 * BLOCK] = value
                if wanted:
                    sums[r] += weights[r] * dx
                    sums[r + BLOCK] += weights[r] * dy
                    sums[r + 2 * BLOCK] += weights[r] * dz
            for r in range(count):
                found[n + r, first + channel] = sums[r + 3 * BLOCK]
        if wanted:
            for r in range(count):
                for a in range(3):
                    found[n + r, a] = sums[r + a * BLOCK] * size[a]


@jit
def _unsort(found, lo, hi, slots, values, slopes):
    first = found.shape[1] - values.shape[0]
    for n in range(lo, hi):
        slot = slots[n]
        for c in range(values.shape[0]):
            values[c, n] = found[slot, first + c]
        for a in range(first):
            slopes[n, a] = found[slot, a]


def _groups(slabs: Slabs, parity: int, voxels: int):
    """Every second slab, in groups of about equal work, one group a thread; 128 voxels clear like one point adds."""
    chosen = np.arange(parity, len(slabs.start) - 1, 2)
    load = np.cumsum(slabs.start[chosen + 1] - slabs.start[chosen] + (voxels << slabs.shift) // 128)
    cuts = [np.searchsorted(load, lo, side="right") for lo, _ in spans(int(load[-1]), CHUNK)[1:]]
    return np.split(chosen, cuts)


def splat_into(points, values, memory, grid, shape):
    """Sorts points (N,3) and values (C,N) into `memory` and splats them into grid (C*D*H*W), whatever it held."""
    slabs, channels = sort(points, values, shape, memory), len(values)
    records, _ = parts_of(memory, channels)
    for parity in (0, 1):
        if len(slabs.start) > parity + 1:
            in_parallel(
                lambda group: _splat_slabs(records, slabs.start, group, slabs.shift, grid, channels, shape),
                _groups(slabs, parity, channels * shape[1] * shape[2]),
            )


def _gather_item(memory, weighted, volume, shape, values, slopes):
    """Writes the samples (C,N), and where there are weights their weighted gradient (N,3)."""
    channels, parts = len(values), spans(values.shape[1], CHUNK)
    records, slots = parts_of(memory, channels if weighted else 0)
    found = np.empty((len(records), channels + 3 * weighted), np.float32)
    in_parallel(lambda part: _gather_range(records, *part, volume, channels, shape, found), parts)
    in_parallel(lambda part: _unsort(found, *part, slots, values, slopes), parts)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _huge(*shape: int) -> Tensor:
    """An empty tensor in memory of numpy, which asks the system for huge pages: 16 MB cost 8 page faults, not 4000."""
    return torch.from_numpy(np.empty(shape, np.float32))


def splat(points: Tensor, values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The grid (B,C,D,H,W) of values (B,C,N) at points (B,N,3)."""
    return splat_sorted(points, values, shape)[0]


def splat_sorted(points: Tensor, values: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """As `splat`, and the points with their values as `sort` writes them, (B,N*(4+C)) int32, for `gather_sorted`."""
    batch, channels, count = values.shape
    grid = _huge(batch, channels, *shape)
    kept = torch.empty(batch, count * (4 + channels), dtype=torch.int32)
    arrays = _array(points), _array(values), kept.numpy(), grid.flatten(1).numpy()
    for item in zip(*arrays, strict=True):
        splat_into(*item, shape)
    return grid, kept


def sample(volume: Tensor, points: Tensor) -> Tensor:
    """The values (B,C,N) of a volume (B,C,D,H,W) at points (B,N,3)."""
    values, none = torch.empty(*volume.shape[:2], points.shape[1]), np.empty((0, 3), np.float32)
    shape, memory = tuple(volume.shape[2:]), np.empty(points.shape[1] * 4, np.int32)
    for place, source, target in zip(_array(points), _array(volume.flatten(1)), values.numpy(), strict=True):
        sort(place, target[:0], shape, memory)
        _gather_item(memory, False, source, shape, target, none)
    return values


def gather(volume: Tensor, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (B,C,N), and the gradient (B,N,3) to the points of their sum weighted by `weights` (B,C,N)."""
    batch, channels, count = weights.shape
    kept = torch.empty(batch, count * (4 + channels), dtype=torch.int32)
    for place, weight, memory in zip(_array(points), _array(weights), kept.numpy(), strict=True):
        sort(place, weight, tuple(volume.shape[2:]), memory)
    return gather_sorted(volume, kept)


def gather_sorted(volume: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """As `gather`, of the points and weights that `splat_sorted` kept."""
    batch, channels, *shape = volume.shape
    count = kept.shape[1] // (4 + channels)
    values, slopes = torch.empty(batch, channels, count), torch.empty(batch, count, 3)
    arrays = kept.numpy(), _array(volume.flatten(1)), values.numpy(), slopes.numpy()
    for memory, source, target, slope in zip(*arrays, strict=True):
        _gather_item(memory, True, source, tuple(shape), target, slope)
    return values, slopes
