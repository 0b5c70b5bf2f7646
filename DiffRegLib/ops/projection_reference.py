"""The projector in plain torch: every sample of every ray, one shell of samples around the source at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.ops.rays import ray_lengths
from DiffRegLib.ops.reference import add_cells, curve_cells, read_cells


def project_reference(
    volume: Tensor, frames: Tensor, detector: Tensor, pixels: Tensor, columns: int, step: float
) -> tuple[Tensor, Tensor]:
    """Line integrals (B,C,P), and the sums (B,C,P,6) that carry their gradient to the ends of the rays.

    volume: (B or 1,C,D,H,W); frames: (B,4,3) voxels; detector: (B,5); pixels: (P,) row * columns + column; step: mm.
    The six sums are step times sum_k grad f(x_k) and step times sum_k alpha_k grad f(x_k), per voxel.
    """
    row, column = pixels // columns, pixels % columns
    lengths = ray_lengths(detector, row, column)
    source, first, across, down = (corner[:, None] for corner in frames.unbind(1))
    beam = first + column[:, None] * across + row[:, None] * down - source
    volume = volume.expand(len(frames), -1, -1, -1, -1)
    image = volume.new_zeros(*volume.shape[:2], len(pixels))
    sums = image[..., None].expand(-1, -1, -1, 6)
    for shell in _shells(source.detach(), beam.detach(), lengths, volume.shape[2:], step):
        alpha = (shell + 0.5) * step / lengths
        values, slopes = read_cells(volume, source + alpha[..., None] * beam, slopes=True)
        reached = (alpha <= 1)[:, None].to(volume.dtype) * step
        image = image + values * reached
        slopes = slopes * reached[..., None]
        sums = sums + torch.cat([slopes, slopes * alpha[:, None, :, None].to(volume.dtype)], -1)
    return image, sums


def _shells(source: Tensor, beam: Tensor, lengths: Tensor, shape: tuple[int, ...], step: float) -> range:
    """Numbers of the samples that may lie in the volume's box, over all rays."""
    size = torch.tensor(tuple(reversed(shape)), dtype=source.dtype, device=source.device)
    beam = torch.where(beam == 0, 1e-30, beam)
    low, high = (-1 - source) / beam, (size - source) / beam
    near, far = torch.minimum(low, high).amax(-1).clamp(0, 1), torch.maximum(low, high).amin(-1).clamp(0, 1)
    hit = near < far
    if not hit.any():
        return range(0)
    start, end = near[hit] * lengths[hit] / step, far[hit] * lengths[hit] / step
    return range(max(0, int(start.min()) - 1), int(end.max()) + 2)


def backproject_reference(
    image: Tensor,
    sums: Tensor,
    frames: Tensor,
    detector: Tensor,
    pixels: Tensor,
    columns: int,
    step: float,
    shape: list[int],
) -> Tensor:
    """The adjoint of `project_reference`: the volume of `shape` (B or 1,C,D,H,W) from image and, unless empty, sums."""
    row, column = pixels // columns, pixels % columns
    lengths = ray_lengths(detector, row, column)
    source, first, across, down = (corner[:, None] for corner in frames.unbind(1))
    beam = first + column[:, None] * across + row[:, None] * down - source
    volume = image.new_zeros(len(frames), *shape[1:])
    for shell in _shells(source, beam, lengths, tuple(shape[2:]), step):
        alpha = (shell + 0.5) * step / lengths
        reached = (alpha <= 1)[:, None].to(image.dtype) * step
        slopes = None
        if sums.numel():
            slopes = (sums[..., :3] + sums[..., 3:] * alpha[:, None, :, None].to(image.dtype)) * reached[..., None]
        volume = add_cells(volume, source + alpha[..., None] * beam, image * reached, slopes)
    return volume if shape[0] > 1 else volume.sum(0, keepdim=True)


def curve_reference(
    volume: Tensor, along: Tensor, frames: Tensor, detector: Tensor, pixels: Tensor, columns: int, step: float
) -> Tensor:
    """How the sums of `project_reference`, weighted by `along` (B,C,P,6), change with the ends of the rays: (B,C,P,6).

    With q_k = a + alpha_k b for along = (a, b) and H_k the second derivatives of the volume at x_k, these are step
    times sum_k H_k q_k and step times sum_k alpha_k H_k q_k, to be read as the sums are.
    """
    row, column = pixels // columns, pixels % columns
    lengths = ray_lengths(detector, row, column)
    source, first, across, down = (corner[:, None] for corner in frames.unbind(1))
    beam = first + column[:, None] * across + row[:, None] * down - source
    volume = volume.expand(len(frames), -1, -1, -1, -1)
    curved = torch.zeros_like(along)
    for shell in _shells(source, beam, lengths, volume.shape[2:], step):
        alpha = (shell + 0.5) * step / lengths
        fraction = alpha[:, None, :, None].to(volume.dtype)
        bent = curve_cells(volume, source + alpha[..., None] * beam, along[..., :3] + fraction * along[..., 3:])
        bent = bent * (alpha <= 1)[:, None, :, None].to(volume.dtype) * step
        curved = curved + torch.cat([bent, fraction * bent], -1)
    return curved


def moments_reference(grad: Tensor, sums: Tensor, pixels: Tensor, columns: int) -> Tensor:
    """Sums (B,3,6) over channels and pixels of grad (B,C,P) times sums (B,C,P,6) times one, column and row."""
    weighted = grad[:, :, None] * steps_of(pixels, columns, grad.dtype)  # (B,C,3,P)
    return (weighted @ sums).sum(1).double()


def steps_of(pixels: Tensor, columns: int, dtype: torch.dtype) -> Tensor:
    """What multiplies the corners of a frame to make a pixel's center: one, its column and its row (3,P)."""
    return torch.stack([torch.ones_like(pixels), pixels % columns, pixels // columns]).to(dtype)
