"""What all kernels know of a trilinear cell; called by those for the CPU and by those for CUDA.

Those that take an array are inlined: numba would count references around every call in the innermost loops.

numba caches a caller by the date of its own file alone: after a change here, touch the files that import this one.
"""

import numpy as np

from DiffRegLib.ops.kernels.compiling import inlined, jit

f32 = np.float32
i32 = np.int32
u32 = np.uint32
u64 = np.uint64
NOWHERE = u64(2**64 - 1)


@jit
def voxel_coordinate(p, n):
    """Voxel coordinate of the normalized p along n voxels; finite: NaN and all far away land outside every cell."""
    x = p * (f32(0.5) * n) + (f32(0.5) * n - f32(0.5))
    x = x if x > f32(-2) else f32(-2)
    return x if x < n + f32(1) else n + f32(1)


@jit
def floor_of(x):
    """The largest integer that does not exceed x, of a size that int32 holds."""
    i = i32(x)
    return i32(i - 1) if x < f32(i) else i


@jit
def cell_of(px, py, pz, depth, height, width):
    """The cell of a normalized point: its lowest voxel (i,j,k), and the fractions of a voxel beyond it."""
    x, y, z = voxel_coordinate(px, f32(width)), voxel_coordinate(py, f32(height)), voxel_coordinate(pz, f32(depth))
    i, j, k = floor_of(x), floor_of(y), floor_of(z)
    return i, j, k, x - f32(i), y - f32(j), z - f32(k)


@jit
def is_inside(i, j, k, depth, height, width):
    """Whether all eight voxels of the cell (i,j,k) are in the grid."""
    return u32(i) < u32(width - 1) and u32(j) < u32(height - 1) and u32(k) < u32(depth - 1)


@jit
def flat_index(i, j, k, height, width):
    """Place of a voxel of the grid in its flat array."""
    return u64(u32((u32(k) * u32(height) + u32(j)) * u32(width) + u32(i)))


@jit
def corner(number, i, j, k, depth, height, width):
    """Place of one of the eight voxels of a cell (bits of `number`: z y x), or u64(-1) outside the grid."""
    i, j, k = i + (number & 1), j + ((number >> 1) & 1), k + (number >> 2)
    if 0 <= i < width and 0 <= j < height and 0 <= k < depth:
        return flat_index(i, j, k, height, width)
    return NOWHERE


@jit
def hat(number, x, y, z):
    """Weights along x, y and z of a corner of a cell at the fractions x, y, z, and the signs of their slopes."""
    one = f32(1)
    u, du = (x, one) if number & 1 else (one - x, -one)
    v, dv = (y, one) if number & 2 else (one - y, -one)
    w, dw = (z, one) if number & 4 else (one - z, -one)
    return u, v, w, du, dv, dw


@jit
def interpolate(a0, a1, b0, b1, c0, c1, d0, d1, x, y, z):
    """Value and voxel gradient of the trilinear function of a cell at the fractions x, y, z."""
    da, db, dc, dd = a1 - a0, b1 - b0, c1 - c0, d1 - d0
    a, b, c, d = a0 + x * da, b0 + x * db, c0 + x * dc, d0 + x * dd
    near, far = a + y * (b - a), c + y * (d - c)
    dnear, dfar = da + y * (db - da), dc + y * (dd - dc)
    return near + z * (far - near), dnear + z * (dfar - dnear), (b - a) + z * ((d - c) - (b - a)), far - near


@jit
def spread(value, dx, dy, dz, x, y, z):
    """The adjoint of `interpolate`: what a sample adds to the eight voxels of its cell."""
    one = f32(1)
    near, far = value * (one - z) - dz, value * z + dz
    a, b = near * (one - y) - dy * (one - z), near * y + dy * (one - z)
    c, d = far * (one - y) - dy * z, far * y + dy * z
    da, db, dc, dd = dx * (one - y) * (one - z), dx * y * (one - z), dx * (one - y) * z, dx * y * z
    return (
        a * (one - x) - da,
        a * x + da,
        b * (one - x) - db,
        b * x + db,
        c * (one - x) - dc,
        c * x + dc,
        d * (one - x) - dd,
        d * x + dd,
    )


@inlined
def sample_cell(flat, start, i, j, k, x, y, z, depth, height, width):
    """Value and voxel gradient at the fractions x, y, z of the cell (i,j,k), zero outside; flat[start] is voxel 0."""
    value = dx = dy = dz = f32(0)
    if is_inside(i, j, k, depth, height, width):
        a = start + flat_index(i, j, k, height, width)
        b, c, one = a + u64(width), a + u64(height * width), u64(1)
        d = c + u64(width)
        value, dx, dy, dz = interpolate(
            f32(flat[a]), f32(flat[a + one]), f32(flat[b]), f32(flat[b + one]),
            f32(flat[c]), f32(flat[c + one]), f32(flat[d]), f32(flat[d + one]), x, y, z,
        )  # fmt: skip
    else:
        for number in range(8):
            q = corner(number, i, j, k, depth, height, width)
            if q != NOWHERE:
                u, v, w, du, dv, dw = hat(number, x, y, z)
                voxel = f32(flat[start + q])
                value += voxel * u * v * w
                dx += voxel * du * v * w
                dy += voxel * u * dv * w
                dz += voxel * u * v * dw
    return value, dx, dy, dz


@inlined
def curve_cell(flat, start, i, j, k, x, y, z, depth, height, width):
    """The mixed second derivatives xy, xz and yz in a cell, in voxels; the others of a trilinear function are zero."""
    xy = xz = yz = f32(0)
    for number in range(8):
        q = corner(number, i, j, k, depth, height, width)
        if q != NOWHERE:
            u, v, w, du, dv, dw = hat(number, x, y, z)
            voxel = f32(flat[start + q])
            xy += voxel * du * dv * w
            xz += voxel * du * v * dw
            yz += voxel * u * dv * dw
    return xy, xz, yz
