"""Fields on threads: their values at points, points carried along one, and the smallest determinants of another.

Both walk over what lies in order in memory, so nothing is sorted: a point's neighbors read the same voxels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.ops.kernels.cells import f32, i32, u64
from DiffRegLib.ops.kernels.compiling import inlined, jit
from DiffRegLib.ops.threads import in_parallel, spans

FEWEST = 4096
"""Points or voxels that are worth a thread."""


@jit
def _place(x, n):
    """The lowest voxel of the cell that holds a coordinate clamped to n voxels, and the fraction beyond it."""
    x = min(x, f32(n - 1)) if x > f32(0) else f32(0)  # NaN is 0
    i = min(i32(x), i32(max(n - 2, 0)))
    return i, x - f32(i)


@inlined
def _read(field, shape, x, y, z):
    """The vector (D, H, W, 3 in a flat array) at voxel coordinates, linear between voxels, constant beyond."""
    depth, height, width = shape
    (i, a), (j, b), (k, c) = _place(x, width), _place(y, height), _place(z, depth)
    row, plane = u64(3 * width if height > 1 else 0), u64(3 * width * height if depth > 1 else 0)
    step = u64(3 if width > 1 else 0)
    p = u64(3) * u64((k * height + j) * width + i)
    vx = vy = vz = f32(0)
    for number in range(4):
        u = b if number & 1 else f32(1) - b
        v = c if number & 2 else f32(1) - c
        q = p + (row if number & 1 else u64(0)) + (plane if number & 2 else u64(0))
        near, far = u * v * (f32(1) - a), u * v * a
        vx += near * field[q] + far * field[q + step]
        vy += near * field[q + u64(1)] + far * field[q + step + u64(1)]
        vz += near * field[q + u64(2)] + far * field[q + step + u64(2)]
    return vx, vy, vz


@inlined
def _within(x, n):
    """Whether a coordinate lies in the box of n voxels; NaN does not."""
    return f32(-0.5) <= x <= f32(n) - f32(0.5)


@inlined
def _between(line, p, step, share):
    return line[p] * (f32(1) - share) + line[p + step] * share


@jit
def _read_range(volume, shape, points, matrix, lo, hi, bounded, outside, values):
    depth, height, width = shape
    r, s, t = matrix[0], matrix[1], matrix[2]
    row, plane, step = u64(width if height > 1 else 0), u64(width * height if depth > 1 else 0), u64(width > 1)
    for n in range(lo, hi):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        x = r[0] * px + r[1] * py + r[2] * pz + r[3]
        y = s[0] * px + s[1] * py + s[2] * pz + s[3]
        z = t[0] * px + t[1] * py + t[2] * pz + t[3]
        if bounded and not (_within(x, width) and _within(y, height) and _within(z, depth)):
            for channel in range(len(values)):
                values[channel, n] = outside
            continue
        (i, a), (j, b), (k, c) = _place(x, width), _place(y, height), _place(z, depth)
        p = u64((k * height + j) * width + i)
        for channel in range(len(values)):
            v, q = volume[channel], p + plane
            near = _between(v, p, step, a) * (f32(1) - b) + _between(v, p + row, step, a) * b
            far = _between(v, q, step, a) * (f32(1) - b) + _between(v, q + row, step, a) * b
            values[channel, n] = near * (f32(1) - c) + far * c


@jit
def _flow_range(field, shape, points, lo, hi, steps, time):
    h = f32(time / steps)
    half, sixth = h * f32(0.5), h / f32(6)
    for n in range(lo, hi):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for _ in range(steps):
            ax, ay, az = _read(field, shape, x, y, z)
            bx, by, bz = _read(field, shape, x + half * ax, y + half * ay, z + half * az)
            cx, cy, cz = _read(field, shape, x + half * bx, y + half * by, z + half * bz)
            dx, dy, dz = _read(field, shape, x + h * cx, y + h * cy, z + h * cz)
            x += sixth * (ax + f32(2) * (bx + cx) + dx)
            y += sixth * (ay + f32(2) * (by + cy) + dy)
            z += sixth * (az + f32(2) * (bz + cz) + dz)
        points[n, 0], points[n, 1], points[n, 2] = x, y, z


@inlined
def _ahead(mapped, at, other, inside, unit):
    """The difference of two voxels of (3, ...) along an axis; beyond the grid, that of the axis itself."""
    if not inside:
        return unit[0], unit[1], unit[2]
    return (
        mapped[0, other] - mapped[0, at] + unit[0],
        mapped[1, other] - mapped[1, at] + unit[1],
        mapped[2, other] - mapped[2, at] + unit[2],
    )


@jit
def _least_range(field, shape, axes, volume, lo, hi, least):
    """Planes lo to hi of the smallest of the eight determinants around each voxel."""
    depth, height, width = shape
    plane = height * width
    for k in range(lo, hi):
        for j in range(height):
            for i in range(width):
                at = (k * height + j) * width + i
                smallest = f32(np.inf)
                for number in range(8):
                    right, up, on = number & 1, (number >> 1) & 1, number >> 2
                    a = _ahead(field, at - 1 + right, at + right, (i + right > 0) and (i + right < width), axes[0])
                    s = width * up
                    b = _ahead(field, at - width + s, at + s, (j + up > 0) and (j + up < height), axes[1])
                    s = plane * on
                    c = _ahead(field, at - plane + s, at + s, (k + on > 0) and (k + on < depth), axes[2])
                    spanned = (
                        (a[1] * b[2] - a[2] * b[1]) * c[0]
                        + (a[2] * b[0] - a[0] * b[2]) * c[1]
                        + (a[0] * b[1] - a[1] * b[0]) * c[2]
                    )
                    smallest = min(smallest, spanned / volume)
                least[at] = smallest


def read(volume: Tensor, points: Tensor, matrix: Tensor, outside: float | None) -> Tensor:
    """See `DiffRegLib.ops.fields.read`."""
    values, shape = torch.empty(len(volume), len(points)), tuple(volume.shape[1:])
    places = points.detach().contiguous().numpy(), matrix.contiguous().numpy()
    arrays = volume.detach().contiguous().flatten(1).numpy(), shape, *places
    ends = outside is not None, f32(outside or 0), values.numpy()
    in_parallel(lambda s: _read_range(*arrays, *s, *ends), spans(len(points), FEWEST))
    return values


def flow(velocity: Tensor, points: Tensor, steps: int, time: float) -> Tensor:
    """See `DiffRegLib.ops.fields.flow`."""
    field = velocity.detach().movedim(0, -1).contiguous().numpy().ravel()
    carried, shape = points.detach().clone(), tuple(velocity.shape[1:])
    moved = carried.numpy()
    in_parallel(lambda s: _flow_range(field, shape, moved, *s, steps, time), spans(len(points), FEWEST))
    return carried


def least_determinant(field: Tensor, axes: Tensor) -> Tensor:
    """See `DiffRegLib.ops.fields.least_determinant`."""
    shape = tuple(field.shape[1:])
    values, least = field.detach().contiguous().numpy().reshape(3, -1), np.empty(field[0].numel(), np.float32)
    columns = axes.double().numpy().T.astype(np.float32).copy()
    volume = f32(np.linalg.det(axes.double().numpy()))
    smallest = max(1, FEWEST // max(1, shape[1] * shape[2]))
    in_parallel(lambda s: _least_range(values, shape, columns, volume, *s, least), spans(shape[0], smallest))
    return torch.from_numpy(least).view(shape)
