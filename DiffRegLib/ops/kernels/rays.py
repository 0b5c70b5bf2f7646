"""The ray of a pixel, clipped to the volume; called by the kernels for the CPU and by those for CUDA.

numba caches a caller by the date of its own file alone: after a change here, touch the files that import this one.
"""

import math

from DiffRegLib.ops.kernels.compiling import jit

RIM = 1e-3  # voxels by which float32 rounding may carry a sample, for rays of up to 1e4 voxels


@jit
def _clip(x, d, low, high, near, far):
    """Narrows [near, far] to the k for which low <= x + k d <= high."""
    if d == 0.0:
        return (near, far) if low <= x <= high else (1.0, 0.0)
    a, b = (low - x) / d, (high - x) / d
    return max(near, min(a, b)), min(far, max(a, b))


@jit
def _clip_box(x, y, z, dx, dy, dz, low, high, depth, height, width, near, far):
    """Narrows [near, far] to the box from `low` to n + `high` voxels."""
    near, far = _clip(x, dx, low, width + high, near, far)
    near, far = _clip(y, dy, low, height + high, near, far)
    return _clip(z, dz, low, depth + high, near, far)


@jit
def ray_of(frame, detector, row, column, step, depth, height, width):
    """The samples of one pixel: in which order, where, and how far along the ray.

    Samples lie at (k + 1/2) step from the source, between source and pixel, inside the box where the interpolated
    volume is not zero: from -1 to n voxels. Returns how many there are; which of them, from `begin` up to `end`, have
    all eight voxels in the grid; place of the first one and step between two, in voxels; fraction `alpha` of the way
    from source to pixel of the first one, and from one to the next. All in double precision.
    """
    across, down = (column - detector[3]) * detector[1], (row - detector[4]) * detector[2]
    share = step / math.sqrt(detector[0] * detector[0] + across * across + down * down)
    dx = (frame[1, 0] + column * frame[2, 0] + row * frame[3, 0] - frame[0, 0]) * share
    dy = (frame[1, 1] + column * frame[2, 1] + row * frame[3, 1] - frame[0, 1]) * share
    dz = (frame[1, 2] + column * frame[2, 2] + row * frame[3, 2] - frame[0, 2]) * share
    x, y, z = frame[0, 0] + 0.5 * dx, frame[0, 1] + 0.5 * dy, frame[0, 2] + 0.5 * dz
    near, far = _clip_box(x, y, z, dx, dy, dz, -1.0, 0.0, depth, height, width, 0.0, 1.0 / share - 0.5)
    if not near <= far:
        return 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    first = math.ceil(near)
    count = max(0, int(math.floor(far) - first) + 1)
    x, y, z = x + first * dx, y + first * dy, z + first * dz
    near, far = _clip_box(x, y, z, dx, dy, dz, RIM, -1.0 - RIM, depth, height, width, 0.0, count - 1.0)
    begin, end = (int(math.ceil(near)), int(math.floor(far)) + 1) if near <= far else (0, 0)
    return count, begin, max(begin, end), x, y, z, dx, dy, dz, (first + 0.5) * share, share
