"""Points in the order of bricks of a grid, so that neighbors in the list read and write neighboring voxels.

A brick is a bundle of rows of voxels along x. The counting sort is stable and takes two linear passes; its outcome does
not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from DiffRegLib.ops.kernels.cells import f32, floor_of, i32, u32, voxel_coordinate
from DiffRegLib.ops.kernels.compiling import jit
from DiffRegLib.ops.threads import in_parallel, spans

BRICKS = 4096  # at most so many, that the ends of all their lists of points stay in the second-level cache
CHUNK = 16384  # points below which a second thread does not pay


class Slabs(NamedTuple):
    """The slabs of 2**shift cells along z that bricks form; the first one starts two voxels before the grid."""

    shift: int
    start: np.ndarray  # (slabs + 1,) records before each slab


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


def sort(points: np.ndarray, values: np.ndarray, shape: tuple[int, int, int], memory: np.ndarray) -> Slabs:
    """Fills `memory` (N * (4 + C)) int32 with points (N,3) and values (C,N) in the order of bricks; see `parts_of`."""
    count, shift = len(points), 2
    while ((shape[0] + 3 >> shift) + 1) * ((shape[1] + 3 >> shift) + 1) > BRICKS:
        shift += 1
    slabs, rows = (shape[0] + 3 >> shift) + 1, (shape[1] + 3 >> shift) + 1
    bricks, (records, slots) = np.empty(count, np.uint32), parts_of(memory, len(values))
    parts = list(enumerate(spans(count, CHUNK)))
    histograms = np.zeros((len(parts), slabs * rows), np.int64)
    in_parallel(lambda part: _count(points, *part[1], shape, shift, rows, bricks, histograms[part[0]]), parts)
    ends = np.cumsum(histograms.T).reshape(slabs * rows, len(parts))
    starts = np.ascontiguousarray(ends.T) - histograms
    in_parallel(lambda part: _sort(points, values, *part[1], bricks, starts[part[0]], records, slots), parts)
    return Slabs(shift, np.concatenate(([0], ends[rows - 1 :: rows, -1])))


def parts_of(memory: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Records (N, 3 + C) float32 of x, y, z and values in the order of bricks, and the place (N,) of each point."""
    count = len(memory) // (4 + channels)
    return memory[count:].view(np.float32).reshape(count, 3 + channels), memory[:count]
