"""The inner loops of the projector on the CPU: blocks of 16 rays side by side in one vector, eight steps at a time.

Each group of 16 x 8 samples passes three loops: where the samples are (vectorized), fetching their voxels as four pairs
each into a small buffer (scalar), blending and summing (vectorized). No memory grows with the number of samples.
"""

from __future__ import annotations

import numpy as np

from DiffRegLib.ops.kernels.cells import (
    NOWHERE,
    corner,
    curve_cell,
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
from DiffRegLib.ops.kernels.compiling import inlined, jit
from DiffRegLib.ops.kernels.pairs import copy_pair
from DiffRegLib.ops.kernels.rays import ray_of

LANES = 16
DEEP = 8
GROUP = LANES * DEEP


@jit
def set_up(frame, detector, pixels, places, columns, step, shape, rays, spans, to):
    """Start, step and alpha of the rays of pixels[places] into rays (8,·), counts and inner ones into spans (3,·)."""
    depth, height, width = shape
    for n in range(places.shape[0]):
        row, column = pixels[places[n]] // columns, pixels[places[n]] % columns
        count, begin, end, x, y, z, dx, dy, dz, alpha, share = ray_of(
            frame, detector, float(row), float(column), step, depth, height, width
        )
        p = to + n
        spans[0, p], spans[1, p], spans[2, p] = count, begin, end
        rays[0, p], rays[1, p], rays[2, p] = x, y, z
        rays[3, p], rays[4, p], rays[5, p] = dx, dy, dz
        rays[6, p], rays[7, p] = alpha, share


@inlined
def _walk(volume, start, shape, rays, p, begin, end, count, total):
    """Adds the samples of one ray before `begin` and from `end` on, at the rim of the grid, to its seven sums."""
    depth, height, width = shape
    for r in range(begin + count - end):
        m = r if r < begin else r - begin + end
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
def _march(volume, start, shape, beams, lo, hi, indices, fractions, corners, sums, slopes):
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
                indices[at] = u32(i32(k * area) + i32(j * width) + i)
                fractions[at] = x - f32(i)
                fractions[at + u32(GROUP)] = y - f32(j)
                fractions[at + u32(2 * GROUP)] = z - f32(k)
        for at in range(steps * LANES):
            q, to = start + u64(indices[at]), u64(2 * at)
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
def project_piece(volume, start, shape, frame, detector, pixels, places, columns, step, image, slopes):
    """Line integrals of the rays of pixels[places] to image (C,P), and unless empty their sums to slopes (C,P,6).

    volume[start] is the first voxel of the first of C channels. The rays of a piece stay in the second-level cache.
    """
    count, voxels = places.shape[0], u64(shape[0] * shape[1] * shape[2])
    rays, spans = np.zeros((8, count + LANES), np.float32), np.zeros((3, count + LANES), np.int32)
    set_up(frame, detector, pixels, places, columns, step, shape, rays, spans, 0)
    for channel in range(image.shape[0]):
        first = u64(start) + u64(channel) * voxels
        _project_channel(volume, first, shape, rays, spans, places, f32(step), image, slopes, channel)


@jit
def _project_channel(volume, start, shape, rays, spans, places, step, image, slopes, channel):
    indices, fractions = np.empty(GROUP, np.uint32), np.empty(3 * GROUP, np.float32)
    corners, beams = np.empty(8 * GROUP, np.float32), np.empty(6 * LANES, np.float32)
    sums, total = np.empty(7 * LANES, np.float32), np.empty(7, np.float32)
    wanted = slopes.shape[0] > 0
    for p in range(0, places.shape[0], LANES):
        begin, end = 0, 1 << 30
        for lane in range(LANES):
            begin, end = max(begin, spans[1, p + lane]), min(end, spans[2, p + lane])
        if begin >= end:  # no sample is an inner one in all rays
            begin = end = 0
        sums[:] = f32(0)
        for a in range(6):
            for lane in range(LANES):
                beams[a * LANES + lane] = rays[a, p + lane]
        _march(volume, start, shape, beams, begin, end, indices, fractions, corners, sums, wanted)
        for lane in range(min(LANES, places.shape[0] - p)):
            for a in range(7):
                total[a] = sums[a * LANES + lane]
            _walk(volume, start, shape, rays, p + lane, begin, end, spans[0, p + lane], total)
            place = places[p + lane]
            image[channel, place] = total[0] * step
            if wanted:
                alpha, share = rays[6, p + lane], rays[7, p + lane]
                for a in range(3):
                    slopes[channel, place, a] = total[1 + a] * step
                    slopes[channel, place, 3 + a] = (alpha * total[1 + a] + share * total[4 + a]) * step


@jit
def spread_slab(volume, start, shape, rays, spans, places, low, high, step, image, slopes):
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
        place = places[p]
        weight = image[place] * step
        if sloped:
            ax, ay, az = slopes[place, 0] * step, slopes[place, 1] * step, slopes[place, 2] * step
            bx, by, bz = slopes[place, 3] * step, slopes[place, 4] * step, slopes[place, 5] * step
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


@jit
def curve_range(volume, start, shape, rays, spans, places, lo, hi, step, along, curved):
    """Sums of H q and of alpha H q with q = a + alpha b, for along = (a, b) and the second derivatives H."""
    depth, height, width = shape
    for p in range(lo, hi):
        at = places[p]
        for a in range(6):
            curved[at, a] = f32(0)
        for m in range(spans[0, p]):
            n = f32(m)
            x, y, z = rays[0, p] + n * rays[3, p], rays[1, p] + n * rays[4, p], rays[2, p] + n * rays[5, p]
            i, j, k = floor_of(x), floor_of(y), floor_of(z)
            x, y, z = x - f32(i), y - f32(j), z - f32(k)
            xy, xz, yz = curve_cell(volume, start, i, j, k, x, y, z, depth, height, width)
            alpha = rays[6, p] + n * rays[7, p]
            qx, qy, qz = (
                along[at, 0] + alpha * along[at, 3],
                along[at, 1] + alpha * along[at, 4],
                along[at, 2] + alpha * along[at, 5],
            )
            hx, hy, hz = (xy * qy + xz * qz) * step, (xy * qx + yz * qz) * step, (xz * qx + yz * qy) * step
            curved[at, 0] += hx
            curved[at, 1] += hy
            curved[at, 2] += hz
            curved[at, 3] += alpha * hx
            curved[at, 4] += alpha * hy
            curved[at, 5] += alpha * hz


@jit
def add_moments(grad, sums, pixels, columns, moments):
    """Adds grad (P) * sums (6 P), and the same times column and times row, to moments (3,6); blocks sum as float32."""
    column, row = np.empty(GROUP, np.float32), np.empty(GROUP, np.float32)
    for block in range(0, pixels.shape[0], GROUP):
        p, count = u64(block), u64(min(GROUP, pixels.shape[0] - block))
        for n in range(count):
            line = u32(pixels[p + n]) // u32(columns)
            row[n], column[n] = line, u32(pixels[p + n]) - line * u32(columns)
        for a in range(u64(6)):
            plain = across = down = f32(0)
            for n in range(count):
                share = grad[p + n] * sums[(p + n) * u64(6) + a]
                plain += share
                across += share * column[n]
                down += share * row[n]
            moments[0, a] += plain
            moments[1, a] += across
            moments[2, a] += down
