"""What all kernels know of a trilinear cell; called by those for the CPU and by those for CUDA.

numba caches a caller by the date of its own file alone: after a change here, touch the files that import this one.
"""

import numpy as np

from DiffRegLib.ops.kernels.compiling import jit

f32 = np.float32
i32 = np.int32
u32 = np.uint32


@jit
def voxel_coordinate(p, n):
    """Voxel coordinate of the normalized p along n voxels; finite: NaN and all far away land outside every cell."""
    x = p * (f32(0.5) * n) + (f32(0.5) * n - f32(0.5))
    x = x if x > f32(-2) else f32(-2)
    return x if x < n + f32(1) else n + f32(1)


@jit
def read(flat, i, j, k, depth, height, width):
    """The voxel, or zero outside the grid."""
    if 0 <= i < width and 0 <= j < height and 0 <= k < depth:
        return f32(flat[(k * height + j) * width + i])
    return f32(0)


@jit
def corners(flat, i, j, k, depth, height, width):
    """The eight voxels of the cell (i,j,k), x fastest."""
    if u32(i) < u32(width - 1) and u32(j) < u32(height - 1) and u32(k) < u32(depth - 1):
        a = u32((u32(k) * u32(height) + u32(j)) * u32(width) + u32(i))
        b = u32(a + u32(width))
        c = u32(a + u32(height * width))
        d = u32(c + u32(width))
        return (
            f32(flat[a]),
            f32(flat[u32(a + u32(1))]),
            f32(flat[b]),
            f32(flat[u32(b + u32(1))]),
            f32(flat[c]),
            f32(flat[u32(c + u32(1))]),
            f32(flat[d]),
            f32(flat[u32(d + u32(1))]),
        )
    return (
        read(flat, i, j, k, depth, height, width),
        read(flat, i + 1, j, k, depth, height, width),
        read(flat, i, j + 1, k, depth, height, width),
        read(flat, i + 1, j + 1, k, depth, height, width),
        read(flat, i, j, k + 1, depth, height, width),
        read(flat, i + 1, j, k + 1, depth, height, width),
        read(flat, i, j + 1, k + 1, depth, height, width),
        read(flat, i + 1, j + 1, k + 1, depth, height, width),
    )


@jit
def interpolate(cell, x, y, z):
    """Value and voxel gradient of the trilinear function of a cell at the fractions x, y, z."""
    a0, a1, b0, b1, c0, c1, d0, d1 = cell
    da, db, dc, dd = a1 - a0, b1 - b0, c1 - c0, d1 - d0
    a, b, c, d = a0 + x * da, b0 + x * db, c0 + x * dc, d0 + x * dd
    near, far = a + y * (b - a), c + y * (d - c)
    dnear, dfar = da + y * (db - da), dc + y * (dd - dc)
    return near + z * (far - near), dnear + z * (dfar - dnear), (b - a) + z * ((d - c) - (b - a)), far - near
