"""The projector, its adjoint and its second derivative on CUDA: one thread a ray.

The order of the pixels puts rays that are neighbors on the detector into one warp, which then reads neighboring voxels.
"""

from __future__ import annotations

import torch
from numba import cuda
from torch import Tensor

from DiffRegLib.ops.kernels.cells import f32, floor_of, spread, u64
from DiffRegLib.ops.kernels.launching import add_cell, compiled, launch, read_cell, scale_for, unscaled
from DiffRegLib.ops.kernels.rays import ray_of
from DiffRegLib.ops.projection_reference import curve_reference, moments_reference


@compiled
def project_pixels(
    volume, bf16, per_view, frames, detector, pixels, columns, step, channels, depth, height, width,
    image, sums, sloped,
):  # fmt: skip
    """image (B*C*P), sums (B*C*P*6) or anything unless `sloped`; the second axis of the launch is view and channel."""
    p, row = cuda.grid(2)
    if p >= pixels.shape[0]:
        return
    view = row // channels
    start = u64(row if per_view else row % channels) * u64(depth * height * width)
    line, column = pixels[p] // columns, pixels[p] % columns
    count, _, _, x0, y0, z0, ex, ey, ez, alpha, share = ray_of(
        frames[view], detector[view], float(line), float(column), step, depth, height, width
    )
    x0, y0, z0, ex, ey, ez = f32(x0), f32(y0), f32(z0), f32(ex), f32(ey), f32(ez)
    total = ax = ay = az = bx = by = bz = f32(0)
    for m in range(count):
        n = f32(m)
        x, y, z = x0 + n * ex, y0 + n * ey, z0 + n * ez
        i, j, k = floor_of(x), floor_of(y), floor_of(z)
        x, y, z = x - f32(i), y - f32(j), z - f32(k)
        value, dx, dy, dz = read_cell(volume, bf16, start, i, j, k, x, y, z, depth, height, width)
        total += value
        if sloped:
            ax, ay, az = ax + dx, ay + dy, az + dz
            bx, by, bz = bx + n * dx, by + n * dy, bz + n * dz
    at, length = row * pixels.shape[0] + p, f32(step)
    image[at] = total * length
    if sloped:
        at, alpha, share = at * 6, f32(alpha), f32(share)
        sums[at], sums[at + 1], sums[at + 2] = ax * length, ay * length, az * length
        sums[at + 3] = (alpha * ax + share * bx) * length
        sums[at + 4] = (alpha * ay + share * by) * length
        sums[at + 5] = (alpha * az + share * bz) * length


@compiled
def spread_pixels(
    volume, scale, per_view, frames, detector, pixels, columns, step, channels, depth, height, width,
    image, sums, sloped,
):  # fmt: skip
    """Adds image (B*C*P) and, if `sloped`, sums (B*C*P*6) along every ray to volume (B or 1 * C*DHW) int64."""
    p, row = cuda.grid(2)
    if p >= pixels.shape[0]:
        return
    view = row // channels
    start = u64(row if per_view else row % channels) * u64(depth * height * width)
    line, column = pixels[p] // columns, pixels[p] % columns
    count, _, _, x0, y0, z0, ex, ey, ez, alpha, share = ray_of(
        frames[view], detector[view], float(line), float(column), step, depth, height, width
    )
    x0, y0, z0, ex, ey, ez = f32(x0), f32(y0), f32(z0), f32(ex), f32(ey), f32(ez)
    at, factor = row * pixels.shape[0] + p, scale[0] * step
    weight = f32(image[at] * factor)
    ax = ay = az = bx = by = bz = f32(0)
    if sloped:
        at *= 6
        ax, ay, az = f32(sums[at] * factor), f32(sums[at + 1] * factor), f32(sums[at + 2] * factor)
        bx, by, bz = f32(sums[at + 3] * factor), f32(sums[at + 4] * factor), f32(sums[at + 5] * factor)
    for m in range(count):
        n = f32(m)
        x, y, z = x0 + n * ex, y0 + n * ey, z0 + n * ez
        i, j, k = floor_of(x), floor_of(y), floor_of(z)
        along = f32(alpha) + n * f32(share)
        shares = spread(weight, ax + along * bx, ay + along * by, az + along * bz, x - f32(i), y - f32(j), z - f32(k))
        add_cell(volume, start, i, j, k, shares, depth, height, width)


def project(
    volume: Tensor, frames: Tensor, detector: Tensor, pixels: Tensor, columns: int, step: float, slopes: bool
) -> tuple[Tensor, Tensor]:
    """Line integrals (B,C,P), and if wanted the six sums of their gradient (B,C,P,6), else an empty tensor."""
    volumes, channels, *shape = volume.shape
    size = (len(frames), channels, len(pixels))
    image = torch.empty(size, device=volume.device)
    sums = torch.empty((*size, 6) if slopes else (1,), device=volume.device)
    rays = (volumes > 1, frames, detector, pixels, columns, step, channels, *shape)
    data = (volume.contiguous().view(-1), volume.dtype == torch.bfloat16)
    launch(project_pixels, len(pixels), len(frames) * channels, *data, *rays, image.view(-1), sums.view(-1), slopes)
    return image, sums if slopes else image.new_empty(0)


def backproject(
    image: Tensor,
    slopes: Tensor,
    frames: Tensor,
    detector: Tensor,
    pixels: Tensor,
    columns: int,
    step: float,
    shape: list,
) -> Tensor:
    """The adjoint of `project`: the volume of `shape` (B or 1,C,D,H,W)."""
    sums = torch.zeros(shape, dtype=torch.int64, device=image.device)
    sloped, channels, grid = bool(slopes.numel()), shape[1], shape[2:]
    if not image.numel():
        return sums.float()
    most = _samples_in_a_cell(frames, detector, step)
    scale = scale_for(image, step * most)
    if sloped:  # a slope has weights up to one on the voxels of its cell, once with and once without alpha
        scale = torch.minimum(scale / 2, scale_for(slopes, 2 * step * most))
    rays = (shape[0] > 1, frames, detector, pixels, columns, step, channels, *grid)
    data = (image.contiguous().view(-1), slopes.contiguous().view(-1) if sloped else image.view(-1), sloped)
    launch(spread_pixels, len(pixels), len(frames) * channels, sums.view(-1), scale, *rays, *data)
    return unscaled(sums, scale)


def _samples_in_a_cell(frames: Tensor, detector: Tensor, step: float) -> Tensor:
    """How many samples of one ray may lie within a voxel of another voxel, at most."""
    axis = frames[:, 1] + detector[:, 3:4] * frames[:, 2] + detector[:, 4:5] * frames[:, 3] - frames[:, 0]
    to_voxel = torch.stack(
        [frames[:, 2] / detector[:, 1:2], frames[:, 3] / detector[:, 2:3], axis / detector[:, :1]], 2
    )
    longest = torch.linalg.inv(to_voxel).flatten(1).norm(dim=1).amax()  # mm that a step of one voxel takes, at most
    return 2 * 3.0**0.5 * longest / step + 2


def curve(
    volume: Tensor, along: Tensor, frames: Tensor, detector: Tensor, pixels: Tensor, columns: int, step: float
) -> Tensor:
    """The second derivative that a loss on the pose gradient has to the pose itself; the reference computes it."""
    return curve_reference(volume, along, frames, detector, pixels, columns, step)


def moments(grad: Tensor, sums: Tensor, pixels: Tensor, columns: int) -> Tensor:
    """Sums (B,3,6) over channels and pixels of grad times sums times one, column and row; the reference adds them."""
    return moments_reference(grad, sums, pixels, columns)
