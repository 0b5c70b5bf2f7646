"""Compiled loops of the neural field: sine and cosine at once, and the comparison of two volumes of features."""

from __future__ import annotations

import numpy as np

from DiffRegLib.ops.kernels.compiling import inlined, jit

f32 = np.float32
TURN = f32(0.15915494309189535)
TURN_HIGH, TURN_LOW = f32(6.28125), f32(0.0019353071795864769)


@inlined
def _sine_and_cosine(x):
    """To 3e-6 for |x| < 1e4: the turn is taken off in two parts, half the rest enters two polynomials."""
    turns = np.floor(x * TURN + f32(0.5))
    half = ((x - turns * TURN_HIGH) - turns * TURN_LOW) * f32(0.5)
    z = half * half
    s = f32(-0.00019807) + z * f32(2.6e-6)
    s = f32(-0.16666664) + z * (f32(0.00833303) + z * s)
    s = half * (f32(0.99999999) + z * s)
    c = f32(2.47609e-5) - z * f32(2.6e-7)
    c = f32(0.041666642) + z * (f32(-0.0013888397) + z * c)
    c = f32(1) + z * (f32(-0.5) + z * c)
    return f32(2) * s * c, f32(1) - f32(2) * s * s


@jit
def sine_and_cosine(phases, cosines):
    """Of flat arrays; the sines are written over the phases."""
    for n in range(phases.size):
        phases[n], cosines[n] = _sine_and_cosine(phases[n])


@jit
def embed(waves, embedded):
    """(N, F) phases to (N, 2 F): their sines, then their cosines."""
    points, count = waves.shape
    for n in range(points):
        sines, cosines = embedded[n, :count], embedded[n, count:]
        for f in range(count):
            sines[f], cosines[f] = _sine_and_cosine(waves[n, f])


@jit
def compare(volume, index, target, weights, losses, slopes):
    """Weighted squared difference of features, and its gradient to the place in the volume.

    volume: (D, H, W, C) uint8. index: (N, 3) voxel coordinates (i, j, k); beyond the outermost centers the nearest
    ones count, beyond the outer faces a point is left out. target: (N, C) in units of the volume. weights: (C,).
    losses: (N,), slopes: (N, 3): written.
    """
    depth, height, width, channels = volume.shape
    sizes = (width, height, depth)
    one, two = f32(1), f32(2)
    for n in range(index.shape[0]):
        slopes[n, 0] = slopes[n, 1] = slopes[n, 2] = f32(0)
        losses[n] = f32(0)
        inside = True
        for axis in range(3):
            at = index[n, axis]
            inside = inside and at >= f32(-0.5) and at <= f32(sizes[axis]) - f32(0.5)
        if not inside:
            continue
        x = min(max(index[n, 0], f32(0)), f32(width - 1))
        y = min(max(index[n, 1], f32(0)), f32(height - 1))
        z = min(max(index[n, 2], f32(0)), f32(depth - 1))
        i, j, k = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0)), min(int(z), max(depth - 2, 0))
        x, y, z = x - f32(i), y - f32(j), z - f32(k)
        i1, j1, k1 = min(i + 1, width - 1), min(j + 1, height - 1), min(k + 1, depth - 1)
        a0, a1, b0, b1 = volume[k, j, i], volume[k, j, i1], volume[k, j1, i], volume[k, j1, i1]
        c0, c1, d0, d1 = volume[k1, j, i], volume[k1, j, i1], volume[k1, j1, i], volume[k1, j1, i1]
        goal = target[n]
        loss = gx = gy = gz = f32(0)
        for c in range(channels):
            da, db = f32(a1[c]) - f32(a0[c]), f32(b1[c]) - f32(b0[c])
            dc, dd = f32(c1[c]) - f32(c0[c]), f32(d1[c]) - f32(d0[c])
            a, b = f32(a0[c]) + x * da, f32(b0[c]) + x * db
            p, q = f32(c0[c]) + x * dc, f32(d0[c]) + x * dd
            near, far = a + y * (b - a), p + y * (q - p)
            dnear, dfar = da + y * (db - da), dc + y * (dd - dc)
            difference = near + z * (far - near) - goal[c]
            pull = weights[c] * difference
            loss += pull * difference
            gx += pull * (dnear + z * (dfar - dnear))
            gy += pull * ((b - a) * (one - z) + (q - p) * z)
            gz += pull * (far - near)
        losses[n] = loss
        slopes[n, 0] = two * gx if index[n, 0] >= f32(0) and index[n, 0] <= f32(width - 1) else f32(0)
        slopes[n, 1] = two * gy if index[n, 1] >= f32(0) and index[n, 1] <= f32(height - 1) else f32(0)
        slopes[n, 2] = two * gz if index[n, 2] >= f32(0) and index[n, 2] <= f32(depth - 1) else f32(0)
