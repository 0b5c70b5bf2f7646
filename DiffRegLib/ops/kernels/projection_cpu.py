"""The projector, its adjoint and its second derivative on threads; `marching` has their inner loops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.ops.kernels.marching import LANES, add_moments, curve_range, project_piece, set_up, spread_slab
from DiffRegLib.ops.rays import tiled
from DiffRegLib.ops.threads import in_parallel

PIECE = 1024  # rays that a thread takes at a time


def _order(pixels: np.ndarray, columns: int) -> np.ndarray:
    """The order in which to march: in tiles where the pixels are a whole image row by row, else as they are listed."""
    count = len(pixels)
    listed = np.arange(count, dtype=np.int32)
    if count % columns or not np.array_equal(pixels, listed):
        return listed
    return tiled(count // columns, columns)[0].numpy()


def _pieces(count: int) -> list[slice]:
    return [slice(lo, min(lo + PIECE, count)) for lo in range(0, count, PIECE)]


def _views(frames, detector, pixels, columns, step, shape):
    """Of each view: its number, rays (8, P + 16), their spans (3, P + 16), and the order of pixels that they are in."""
    listed, detectors = pixels.contiguous().numpy(), detector.contiguous().numpy()
    order, count = _order(listed, columns), len(pixels)
    for view, frame in enumerate(frames.detach().contiguous().numpy()):
        rays, spans = np.zeros((8, count + LANES), np.float32), np.zeros((3, count + LANES), np.int32)
        ends = columns, step, shape, rays, spans
        in_parallel(
            lambda piece, view=view, frame=frame, ends=ends: set_up(
                frame, detectors[view], listed, order[piece], *ends, piece.start
            ),
            _pieces(count),
        )
        yield view, rays, spans, order


def project(
    volume: Tensor, frames: Tensor, detector: Tensor, pixels: Tensor, columns: int, step: float, slopes: bool
) -> tuple[Tensor, Tensor]:
    """Line integrals (B,C,P), and if wanted the six sums of their gradient (B,C,P,6), else an empty tensor."""
    shape, channels, count = tuple(volume.shape[2:]), volume.shape[1], len(pixels)
    image = torch.empty(len(frames), channels, count)
    sums = torch.empty(len(frames), channels, count, 6) if slopes else torch.empty(0)
    flat, voxels = volume.detach().contiguous().numpy().reshape(-1), shape[0] * shape[1] * shape[2]
    listed, detectors = pixels.contiguous().numpy(), detector.contiguous().numpy()
    corners, order = frames.detach().contiguous().numpy(), _order(listed, columns)
    images, sixes = image.numpy(), sums.numpy() if slopes else np.empty((len(frames), 0, 0, 6), np.float32)

    def march(item):
        view, piece = item
        start = np.uint64(view * channels * voxels if len(volume) > 1 else 0)
        rays = corners[view], detectors[view], listed, order[piece], columns, step
        project_piece(flat, start, shape, *rays, images[view], sixes[view])

    in_parallel(march, [(view, piece) for view in range(len(frames)) for piece in _pieces(count)])
    return image, sums


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
    for view, rays, spans, order in _views(frames, detector, pixels, columns, step, grid):
        for channel in range(channels):
            start = np.uint64((view * channels * (shape[0] > 1) + channel) * grid[0] * grid[1] * grid[2])
            source = np.float32(step), images[view, channel], sums[view, channel] if slopes.numel() else nothing
            for parity in (0, 1):
                in_parallel(
                    lambda low, data=(flat, start, grid, rays, spans, order), source=source: spread_slab(
                        *data, low, low + thick, *source
                    ),
                    lows[parity::2],
                )
    return volume


def curve(
    volume: Tensor, along: Tensor, frames: Tensor, detector: Tensor, pixels: Tensor, columns: int, step: float
) -> Tensor:
    """How the sums, weighted by `along` (B,C,P,6), change with the ends of the rays: (B,C,P,6), to be read as sums."""
    shape, channels = tuple(volume.shape[2:]), volume.shape[1]
    flat, voxels = volume.detach().contiguous().numpy().reshape(-1), shape[0] * shape[1] * shape[2]
    weights, curved = along.detach().contiguous().numpy(), torch.empty(along.shape)
    for view, rays, spans, order in _views(frames, detector, pixels, columns, step, shape):
        for channel in range(channels):
            start = np.uint64((view * channels * (len(volume) > 1) + channel) * voxels)
            ends = np.float32(step), weights[view, channel], curved[view, channel].numpy()
            in_parallel(
                lambda piece, data=(flat, start, shape, rays, spans, order), ends=ends: curve_range(
                    *data, piece.start, piece.stop, *ends
                ),
                _pieces(len(pixels)),
            )
    return curved


def moments(grad: Tensor, sums: Tensor, pixels: Tensor, columns: int) -> Tensor:
    """Sums (B,3,6) over channels and pixels of grad (B,C,P) times sums (B,C,P,6) times one, column and row."""
    total = torch.zeros(len(grad), 3, 6, dtype=torch.float64)
    weights, sixes = grad.detach().contiguous().numpy(), sums.detach().contiguous().numpy()
    listed = pixels.contiguous().numpy()
    for view, channel in np.ndindex(*grad.shape[:2]):
        add_moments(weights[view, channel], sixes[view, channel].reshape(-1), listed, columns, total[view].numpy())
    return total
