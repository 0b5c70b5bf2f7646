"""The projector on threads: blocks of 16 rays side by side in one vector, eight steps at a time.

Each group of 16 x 8 samples passes three loops: where the samples are (vectorized), fetching their voxels as four pairs
each into a small buffer (scalar), blending and summing (vectorized). No memory grows with the number of samples.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.ops.kernels.cells import (
    NOWHERE,
    corner,
    f32,
    flat_index,
    floor_of,
    i32,
    interpolate,
    is_inside,
    sample_cell,
    spread,
    u32,
    u64,
)
from DiffRegLib.ops.kernels.compiling import jit
from DiffRegLib.ops.kernels.pairs import copy_pair
from DiffRegLib.ops.kernels.rays import ray_of
from DiffRegLib.ops.projection_reference import curve_reference
from DiffRegLib.ops.threads import in_parallel

LANES = 16
DEEP = 8
GROUP = LANES * DEEP
PIECE = 2048  # rays that a thread takes at a time


@jit
def _set_up(frame, lens, pixels, lo, hi, columns, step, shape, rays, spans):
    """Start, step and alpha of every ray into rays (8,P); number of samples and the inner ones into spans (3,P)."""
    depth, height, width = shape
    for p in range(lo, hi):
        row, column = pixels[p] // columns, pixels[p] % columns
        count, begin, end, x, y, z, dx, dy, dz, alpha, share = ray_of(
            frame, lens, float(row), float(column), step, depth, height, width
        )
        spans[0, p], spans[1, p], spans[2, p] = count, begin, end
        rays[0, p], rays[1, p], rays[2, p] = x, y, z
        rays[3, p], rays[4, p], rays[5, p] = dx, dy, dz
        rays[6, p], rays[7, p] = alpha, share


@jit
def _walk(volume, start, shape, rays, p, lo, hi, total):
    """Adds the samples lo to hi of one ray, near or beyond the rim of the grid, to its seven sums."""
    depth, height, width = shape
    for m in range(lo, hi):
        n = f32(m)
        x, y, z = rays[0, p] + n * rays[3, p], rays[1, p] + n * rays[4, p], rays[2, p] + n * rays[5, p]
        i, j, k = floor_of(x), floor_of(y), floor_of(z)
        x, y, z = x - f32(i), y - f32(j), z - f32(k)
        value, dx, dy, dz = sample_cell(volume, start, i, j, k, x, y, z, depth, height, width)
        total[0] += value
        total[1] += dx
        total[2] += dy
        total[3] += dz
        total[4] += n * dx
        total[5] += n * dy
        total[6] += n * dz


@jit
def _march(volume, start, shape, beams, lo, hi, places, fractions, corners, sums, slopes):
    """Adds the samples lo to hi of the 16 rays of a block (6 * 16), all inner ones, to their seven sums (7 * 16)."""
    row, plane = u64(shape[2]), u64(shape[1] * shape[2])
    width, area = i32(shape[2]), i32(shape[1] * shape[2])
    for m in range(lo, hi, DEEP):
        steps = min(DEEP, hi - m)
        for s in range(steps):
            n = f32(m + s)
            for lane in range(LANES):
                x = beams[lane] + n * beams[lane + 3 * LANES]
                y = beams[lane + LANES] + n * beams[lane + 4 * LANES]
                z = beams[lane + 2 * LANES] + n * beams[lane + 5 * LANES]
                i, j, k = i32(x), i32(y), i32(z)
                at = u32(s * LANES + lane)
                places[at] = u32(i32(k * area) + i32(j * width) + i)
                fractions[at] = x - f32(i)
                fractions[at + u32(GROUP)] = y - f32(j)
                fractions[at + u32(2 * GROUP)] = z - f32(k)
        for at in range(steps * LANES):
            q, to = start + u64(places[at]), u64(2 * at)
            copy_pair(corners, to, volume, q)
            copy_pair(corners, to + u64(2 * GROUP), volume, q + row)
            copy_pair(corners, to + u64(4 * GROUP), volume, q + plane)
            copy_pair(corners, to + u64(6 * GROUP), volume, q + plane + row)
        for s in range(steps):
            n = f32(m + s)
            for lane in range(LANES):
                at = u32(s * LANES + lane)
                a, one = u64(2) * u64(at), u64(1)
                b, c, d = a + u64(2 * GROUP), a + u64(4 * GROUP), a + u64(6 * GROUP)
                value, dx, dy, dz = interpolate(
                    corners[a], corners[a + one], corners[b], corners[b + one],
                    corners[c], corners[c + one], corners[d], corners[d + one],
                    fractions[at], fractions[at + u32(GROUP)], fractions[at + u32(2 * GROUP)],
                )  # fmt: skip
                sums[lane] += value
                if slopes:
                    sums[lane + LANES] += dx
                    sums[lane + 2 * LANES] += dy
                    sums[lane + 3 * LANES] += dz
                    sums[lane + 4 * LANES] += n * dx
                    sums[lane + 5 * LANES] += n * dy
                    sums[lane + 6 * LANES] += n * dz


@jit
def _project_range(volume, start, shape, rays, spans, lo, hi, step, image, slopes):
    places, fractions = np.empty(GROUP, np.uint32), np.empty(3 * GROUP, np.float32)
    corners, beams = np.empty(8 * GROUP, np.float32), np.empty(6 * LANES, np.float32)
    sums, total = np.empty(7 * LANES, np.float32), np.empty(7, np.float32)
    wanted = slopes.shape[0] > 0
    for p in range(lo, hi, LANES):
        begin, end = 0, 1 << 30
        for lane in range(LANES):
            begin, end = max(begin, spans[1, p + lane]), min(end, spans[2, p + lane])
        end = max(begin, end)
        sums[:] = f32(0)
        for a in range(6):
            for lane in range(LANES):
                beams[a * LANES + lane] = rays[a, p + lane]
        _march(volume, start, shape, beams, begin, end, places, fractions, corners, sums, wanted)
        for lane in range(min(LANES, hi - p)):
            for a in range(7):
                total[a] = sums[a * LANES + lane]
            count = spans[0, p + lane]
            _walk(volume, start, shape, rays, p + lane, 0, min(begin, count), total)
            _walk(
                volume,
                start,
                shape,
                rays,
                p + lane,
                min(end, count) if end > begin else min(begin, count),
                count,
                total,
            )
            image[p + lane] = total[0] * step
            if wanted:
                alpha, share = rays[6, p + lane], rays[7, p + lane]
                for a in range(3):
                    slopes[p + lane, a] = total[1 + a] * step
                    slopes[p + lane, 3 + a] = (alpha * total[1 + a] + share * total[4 + a]) * step


@jit
def _spread_slab(volume, start, shape, rays, spans, low, high, step, image, slopes):
    """Adds every sample whose cell starts in the planes low to high to the voxels around it."""
    depth, height, width = shape
    sloped = slopes.shape[0] > 0
    ax = ay = az = bx = by = bz = f32(0)
    for p in range(image.shape[0]):
        dz = rays[5, p]
        lo, hi = 0, spans[0, p]
        if dz != f32(0):
            near, far = (f32(low) - rays[2, p]) / dz, (f32(high) - rays[2, p]) / dz
            lo = max(lo, int(max(min(near, far), f32(-1)) - f32(1)))
            hi = min(hi, int(max(min(max(near, far), f32(1 << 30)), f32(-2)) + f32(2)))
        weight = image[p] * step
        if sloped:
            ax, ay, az = slopes[p, 0] * step, slopes[p, 1] * step, slopes[p, 2] * step
            bx, by, bz = slopes[p, 3] * step, slopes[p, 4] * step, slopes[p, 5] * step
        for m in range(lo, hi):
            n = f32(m)
            x, y, z = rays[0, p] + n * rays[3, p], rays[1, p] + n * rays[4, p], rays[2, p] + n * dz
            i, j, k = floor_of(x), floor_of(y), floor_of(z)
            if k < low or k >= high:
                continue
            x, y, z = x - f32(i), y - f32(j), z - f32(k)
            alpha = rays[6, p] + n * rays[7, p]
            gx, gy, gz = ax + alpha * bx, ay + alpha * by, az + alpha * bz
            shares = spread(weight, gx, gy, gz, x, y, z)
            if is_inside(i, j, k, depth, height, width):
                a = start + flat_index(i, j, k, height, width)
                b, c = a + u64(width), a + u64(height * width)
                d, one = c + u64(width), u64(1)
                volume[a] += shares[0]
                volume[a + one] += shares[1]
                volume[b] += shares[2]
                volume[b + one] += shares[3]
                volume[c] += shares[4]
                volume[c + one] += shares[5]
                volume[d] += shares[6]
                volume[d + one] += shares[7]
                continue
            for number in range(8):
                q = corner(number, i, j, k, depth, height, width)
                if q != NOWHERE:
                    volume[start + q] += shares[number]


def _rays(frame, lens, pixels, columns, step, shape):
    """Rays (8, P + 16) and their spans (3, P + 16), the last block filled up with rays that miss."""
    count = len(pixels)
    rays, spans = np.zeros((8, count + LANES), np.float32), np.zeros((3, count + LANES), np.int32)
    pieces = [(lo, min(lo + PIECE, count)) for lo in range(0, count, PIECE)]
    in_parallel(lambda piece: _set_up(frame, lens, pixels, *piece, columns, step, shape, rays, spans), pieces)
    return rays, spans, pieces


def _views(frames, lens, pixels, columns, step, shape):
    for view, frame in enumerate(frames.detach().contiguous().numpy()):
        glass = lens.contiguous().numpy()[view]
        yield view, *_rays(frame, glass, pixels.contiguous().numpy(), columns, step, shape)


def project(
    volume: Tensor, frames: Tensor, lens: Tensor, pixels: Tensor, columns: int, step: float, slopes: bool
) -> tuple[Tensor, Tensor]:
    """Line integrals (B,C,P), and if wanted the six sums of their gradient (B,C,P,6), else an empty tensor."""
    shape, channels, count = tuple(volume.shape[2:]), volume.shape[1], len(pixels)
    image = torch.empty(len(frames), channels, count)
    sums = torch.empty(len(frames), channels, count, 6) if slopes else torch.empty(0)
    flat, voxels = volume.detach().contiguous().numpy().reshape(-1), shape[0] * shape[1] * shape[2]
    nothing = np.empty((0, 6), np.float32)
    for view, rays, spans, pieces in _views(frames, lens, pixels, columns, step, shape):
        for channel in range(channels):
            start = np.uint64((view * channels * (len(volume) > 1) + channel) * voxels)
            target = image[view, channel].numpy(), sums[view, channel].numpy() if slopes else nothing
            in_parallel(
                lambda piece, data=(flat, start, shape, rays, spans), target=target: _project_range(
                    *data, *piece, np.float32(step), *target
                ),
                pieces,
            )
    return image, sums


def backproject(
    image: Tensor, slopes: Tensor, frames: Tensor, lens: Tensor, pixels: Tensor, columns: int, step: float, shape: list
) -> Tensor:
    """The adjoint of `project`: the volume of `shape` (B or 1,C,D,H,W).

    Slabs of z are added one by one, first the even and then the odd ones, so that no two threads write one voxel and
    any number of threads gives the same bits.
    """
    volume = torch.zeros(shape)
    flat, channels, grid = volume.numpy().reshape(-1), shape[1], tuple(shape[2:])
    thick = max(2, -(-(grid[0] + 1) // 16))
    lows = range(-1, grid[0], thick)
    images, sums = image.detach().contiguous().numpy(), slopes.detach().contiguous().numpy()
    nothing = np.empty((0, 6), np.float32)
    for view, rays, spans, _ in _views(frames, lens, pixels, columns, step, grid):
        for channel in range(channels):
            start = np.uint64((view * channels * (shape[0] > 1) + channel) * grid[0] * grid[1] * grid[2])
            source = np.float32(step), images[view, channel], sums[view, channel] if slopes.numel() else nothing
            for parity in (0, 1):
                in_parallel(
                    lambda low, data=(flat, start, grid, rays, spans), source=source: _spread_slab(
                        *data, low, low + thick, *source
                    ),
                    lows[parity::2],
                )
    return volume


def curve(
    volume: Tensor, along: Tensor, frames: Tensor, lens: Tensor, pixels: Tensor, columns: int, step: float
) -> Tensor:
    """The second derivative that a loss on the pose gradient has to the pose itself; the reference computes it."""
    return curve_reference(volume, along, frames, lens, pixels, columns, step)
