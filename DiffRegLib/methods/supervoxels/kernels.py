"""A compiled loop of the prediction: the most likely class between the voxels of the network's output."""

from __future__ import annotations

import numpy as np

from DiffRegLib.ops.kernels.compiling import jit

f32 = np.float32
NEAR = f32(0.75)  # weight of the voxel in which one of half the width lies; that beside it has the rest


@jit
def finest(logits, found):
    """The largest of K logits, each linear between the voxels (K, d, h, w), at the voxels (2 d, 2 h, 2 w) of `found`.

    found: uint8, written. Four rows at a time, which lie between the same rows of the logits; the voxels of even and
    of odd number stand apart, and of each no more than the largest value so far is kept.
    """
    classes, depth, height, width = logits.shape
    best = np.empty((2, 2, 2, width), np.float32)
    chosen = np.empty((2, 2, 2, width), np.int32)
    upper, lower = np.empty(width, np.float32), np.empty(width, np.float32)
    row = np.empty(width + 2, np.float32)  # bordered by its ends
    for k in range(-1, depth):
        for j in range(-1, height):
            best[:] = -np.inf
            chosen[:] = 0
            k0, k1, j0, j1 = max(k, 0), min(k + 1, depth - 1), max(j, 0), min(j + 1, height - 1)
            for c in range(classes):
                values = logits[c]
                for z in range(2):
                    _between(values[k0, j0], values[k1, j0], z, upper)
                    _between(values[k0, j1], values[k1, j1], z, lower)
                    for y in range(2):
                        _between(upper, lower, y, row[1 : width + 1])
                        row[0], row[width + 1] = row[1], row[width]
                        _keep(row[:width], row[1 : width + 1], np.int32(c), best[z, y, 0], chosen[z, y, 0])
                        _keep(row[2:], row[1 : width + 1], np.int32(c), best[z, y, 1], chosen[z, y, 1])
            for z in range(max(0, -2 * k - 1), min(2, 2 * depth - 2 * k - 1)):
                for y in range(max(0, -2 * j - 1), min(2, 2 * height - 2 * j - 1)):
                    line = found[2 * k + 1 + z, 2 * j + 1 + y]
                    for i in range(width):
                        line[2 * i], line[2 * i + 1] = chosen[z, y, 0, i], chosen[z, y, 1, i]


@jit
def _between(first, second, place, values):
    """What lies a quarter of the way from the first row to the second, or three quarters."""
    weight = NEAR if place == 0 else f32(1) - NEAR
    for i in range(values.size):
        values[i] = weight * first[i] + (f32(1) - weight) * second[i]


@jit
def _keep(beside, own, number, best, chosen):
    """Writes the number where the value between a voxel and that beside it is larger than the best."""
    for i in range(best.size):
        value = (f32(1) - NEAR) * beside[i] + NEAR * own[i]
        larger = value > best[i]
        chosen[i] = number if larger else chosen[i]
        best[i] = value if larger else best[i]
