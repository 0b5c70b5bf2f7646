"""The projector, its adjoint and its second derivative on threads; `marching` has their inner loops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.ops.kernels.marching import LANES, curve_range, project_range, set_up, spread_slab
from DiffRegLib.ops.threads import in_parallel

PIECE = 2048  # rays that a thread takes at a time


def _rays(frame, lens, pixels, columns, step, shape):
    """Rays (8, P + 16) and their spans (3, P + 16), the last block filled up with rays that miss."""
    count = len(pixels)
    rays, spans = np.zeros((8, count + LANES), np.float32), np.zeros((3, count + LANES), np.int32)
    pieces = [(lo, min(lo + PIECE, count)) for lo in range(0, count, PIECE)]
    in_parallel(lambda piece: set_up(frame, lens, pixels, *piece, columns, step, shape, rays, spans), pieces)
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
                lambda piece, data=(flat, start, shape, rays, spans), target=target: project_range(
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
                    lambda low, data=(flat, start, grid, rays, spans), source=source: spread_slab(
                        *data, low, low + thick, *source
                    ),
                    lows[parity::2],
                )
    return volume


def curve(
    volume: Tensor, along: Tensor, frames: Tensor, lens: Tensor, pixels: Tensor, columns: int, step: float
) -> Tensor:
    """How the sums, weighted by `along` (B,C,P,6), change with the ends of the rays: (B,C,P,6), to be read as sums."""
    shape, channels = tuple(volume.shape[2:]), volume.shape[1]
    flat, voxels = volume.detach().contiguous().numpy().reshape(-1), shape[0] * shape[1] * shape[2]
    weights, curved = along.detach().contiguous().numpy(), torch.empty(along.shape)
    for view, rays, spans, pieces in _views(frames, lens, pixels, columns, step, shape):
        for channel in range(channels):
            start = np.uint64((view * channels * (len(volume) > 1) + channel) * voxels)
            ends = np.float32(step), weights[view, channel], curved[view, channel].numpy()
            in_parallel(
                lambda piece, data=(flat, start, shape, rays, spans), ends=ends: curve_range(*data, *piece, *ends),
                pieces,
            )
    return curved
