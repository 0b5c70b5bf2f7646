"""Values on a grid without gradients: at points in order, where points flow, and how far space is squeezed."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.ops import backend as backends


def read(
    volume: Tensor, points: Tensor, affine: Tensor | None = None, outside: float | None = None, backend: str = "auto"
) -> Tensor:
    """(C, N): a volume (C, D, H, W) at points (N, 3), linear between voxel centers.

    affine: (4, 4) from the points to voxel coordinates (i, j, k), which they are without it. Beyond the box that the
    voxels fill, and for NaN, the value is `outside`, or that of the nearest border voxel; in the outer half voxel it is
    the border voxel's. The sister of `ops.sample` that sorts nothing: faster where neighbors follow each other, as on a
    grid. backend: "auto", "reference" or "cpu".
    """
    matrix = torch.eye(4)[:3] if affine is None else affine[:3]
    kernels = _kernels(backend, volume, points)
    return (_read if kernels is None else kernels.read)(volume, points, matrix.to(points), outside)


def flow(velocity: Tensor, points: Tensor, steps: int, time: float = 1.0, backend: str = "auto") -> Tensor:
    """(N, 3) points after some time in a stationary velocity field, by `steps` of fourth-order Runge-Kutta.

    velocity: (3, D, H, W) in voxels (i, j, k) a unit of time, linear between voxel centers and constant beyond.
    points: (N, 3) voxel coordinates (i, j, k). backend: "auto", "reference" or "cpu".
    """
    kernels = _kernels(backend, velocity, points)
    return (_flow if kernels is None else kernels.flow)(velocity, points, steps, time)


def least_determinant(field: Tensor, axes: Tensor, backend: str = "auto") -> Tensor:
    """(D, H, W): the smallest Jacobian determinant of x + u(x) at the corners of the cells that meet in each voxel.

    field: u (3, D, H, W), constant beyond the grid. axes: (3, 3), columns are what one voxel along i, j, k is in u's
    frame. backend: "auto", "reference" or "cpu".
    """
    kernels = _kernels(backend, field)
    return (_least_determinant if kernels is None else kernels.least_determinant)(field, axes)


def _kernels(backend: str, *tensors: Tensor):
    if backend == "auto" and tensors[0].is_cuda:
        return None
    return backends.kernels("fields", backend, "fields", *tensors)


def _read(volume: Tensor, points: Tensor, matrix: Tensor, outside: float | None) -> Tensor:
    points = torch.nn.functional.linear(points, matrix[:, :3], matrix[:, 3])
    size = torch.tensor(volume.shape[:0:-1]).to(points)
    normalized = ((2 * points + 1) / size - 1).nan_to_num(nan=2.0).to(volume.dtype)
    values = torch.nn.functional.grid_sample(
        volume[None], normalized[None, None, None], padding_mode="border", align_corners=False
    )[0, :, 0, 0]
    return values if outside is None else torch.where((normalized.abs() <= 1).all(-1), values, outside)


def _flow(velocity: Tensor, points: Tensor, steps: int, time: float) -> Tensor:
    size = torch.tensor(velocity.shape[:0:-1], device=points.device)
    h = time / steps

    def read(at: Tensor) -> Tensor:
        normalized = (2 * at.clamp(min=0).minimum((size - 1).to(at)) + 1) / size - 1
        sampled = torch.nn.functional.grid_sample(velocity[None], normalized[None, None, None], align_corners=False)
        return sampled[0, :, 0, 0].T

    for _ in range(steps):
        a = read(points)
        b = read(points + h / 2 * a)
        c = read(points + h / 2 * b)
        d = read(points + h * c)
        points = points + h / 6 * (a + 2 * b + 2 * c + d)
    return points


def _least_determinant(field: Tensor, axes: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(field[None], (1,) * 6, mode="replicate")[0]
    least = torch.full(field.shape[1:], torch.inf, device=field.device, dtype=field.dtype)
    volume, unit = float(torch.linalg.det(axes.double())), axes.to(field)[:, :, None, None, None]
    ahead = [padded.diff(dim=axis) for axis in (3, 2, 1)]
    inner = slice(1, -1)
    sides = (slice(0, -1), slice(1, None))
    for x in sides:
        for y in sides:
            along_i, along_j = ahead[0][:, inner, inner, x] + unit[:, 0], ahead[1][:, inner, y, inner] + unit[:, 1]
            across = torch.linalg.cross(along_i, along_j, dim=0)
            for z in sides:
                spanned = (across * (ahead[2][:, z, inner, inner] + unit[:, 2])).sum(0)
                least = torch.minimum(least, spanned / volume)
    return least
