"""From pose, camera and geometry to rays in voxel coordinates, in plain differentiable torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError


def frames_of(pose: Tensor, affine: Tensor, cameras: Sequence[Camera]) -> Tensor:
    """Source, center of pixel (0,0), step to the next column and to the next row, in voxels: (B,4,3) float64.

    pose: (4,4) or (B,4,4), places the volume in the world of the cameras; affine: (4,4) voxel to RAS mm.
    One camera serves all poses and one pose all cameras. Differentiable to pose.
    """
    if pose.shape[-2:] != (4, 4) or pose.ndim not in (2, 3):
        raise RegistrationError(f"pose has the shape {tuple(pose.shape)}: give (4, 4) or (B, 4, 4).")
    device = pose.device
    cells = affine.to(device, torch.float64)
    if not _is_regular(affine):
        raise RegistrationError("affine of the volume is singular or not finite: correct the image's geometry.")
    pose = pose.double().reshape(-1, 4, 4)
    if len(cameras) not in (1, len(pose)) and len(pose) != 1:
        raise RegistrationError(f"{len(pose)} poses for {len(cameras)} cameras: give one pose a camera.")
    local = torch.stack([_detector(camera) for camera in cameras]).to(device)
    world = torch.stack([camera.pose.double() for camera in cameras]).to(device)
    to_voxel = torch.linalg.inv(pose @ cells) @ world
    return (to_voxel @ local)[:, :3].transpose(1, 2)


def _is_regular(affine: Tensor) -> bool:
    """Whether a (4,4) affine is finite and has a volume; in plain numbers, quicker than by torch."""
    rows = affine.detach().tolist()
    (a, b, c), (d, e, f), (g, h, i) = (row[:3] for row in rows[:3])
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return all(math.isfinite(n) for row in rows for n in row) and abs(determinant) > 1e-12


def _detector(camera: Camera) -> Tensor:
    """Source, first pixel, column step and row step in the camera's frame, as homogeneous columns (4,4)."""
    (column, row), (across, down) = camera.center, camera.spacing
    first = [-column * across, -row * down, camera.distance, 1.0]
    steps = [[across, 0.0, 0.0, 0.0], [0.0, down, 0.0, 0.0]]
    return torch.tensor([[0.0, 0.0, 0.0, 1.0], first, *steps], dtype=torch.float64).T


def lenses_of(cameras: Sequence[Camera], device: torch.device) -> Tensor:
    """What the length of a ray depends on: distance mm, pitch mm (column, row), principal point px; (B,5) float64."""
    rows = [[camera.distance, *camera.spacing, *camera.center] for camera in cameras]
    return torch.tensor(rows, dtype=torch.float64, device=device)


def ray_lengths(lens: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Distance in mm from the source to pixels (P,) of each view: (B,P)."""
    distance, across, down, middle_column, middle_row = (n[:, None] for n in lens.unbind(1))
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
