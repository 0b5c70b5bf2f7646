"""Rays from a source through the pixels of a detector: how long they are, and in which order they are followed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


class Rays(NamedTuple):
    """From sources through the same pixels of B detectors, in the voxels of a volume.

    frames: (B,4,3) float64 voxels: the source, the center of pixel (0,0), the steps to the next column and row.
    detector: (B,5) float64, what the length of a ray depends on: distance mm, pitch mm (column, row), principal point
        px (column, row).
    pixels: (P,) int32, row * columns + column. columns: of the detector.
    """

    frames: Float[Tensor, "B 4 3"]
    detector: Float[Tensor, "B 5"]
    pixels: Tensor
    columns: int


def ray_lengths(detector: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Distance in mm from the source to pixels (P,) of each view: (B,P)."""
    distance, across, down, middle_column, middle_row = (n[:, None] for n in detector.unbind(1))
    return torch.sqrt(distance**2 + ((column - middle_column) * across) ** 2 + ((row - middle_row) * down) ** 2)


class Scan:
    """All pixels of a detector in the order in which a device renders them.

    pixels: (P,) int32. On a GPU they come in tiles, and the image has to be put in order; the CPU's kernels do both.
    """

    def __init__(self, rows: int, columns: int, device: torch.device) -> None:
        self._size, self._back = (rows, columns), None
        if device.type == "cpu":
            self.pixels = torch.arange(rows * columns, dtype=torch.int32)
        else:
            self.pixels, self._back = (order.to(device) for order in tiled(rows, columns))

    def image(self, values: Tensor) -> Tensor:
        """(..., P) as rendered to (..., rows, columns)."""
        return (values if self._back is None else values[..., self._back]).unflatten(-1, self._size)

    def listed(self, image: Tensor) -> Tensor:
        """(..., rows, columns) to (..., P) as rendered: the inverse of `image`."""
        values = image.flatten(-2)
        return values if self._back is None else values[..., self.pixels.long()]


@lru_cache(maxsize=16)
def scan_of(rows: int, columns: int, device: torch.device) -> Scan:
    """Made once for each detector and device."""
    return Scan(rows, columns, device)


@lru_cache(maxsize=16)
def tiled(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """All pixels (P,) int32 in tiles of 2 x 8, so that neighbors in the list read neighboring voxels; its inverse."""
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    key = (((row // 2) * (columns // 8 + 1) + column // 8) * 2 + row % 2) * 8 + column % 8
    order = key.flatten().argsort()
    return order.int(), order.argsort()
