"""`project`: radiographs of a volume as line integrals, differentiable to the volume and to its pose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from DiffRegLib import ops
from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.ops.projection import project_with_slopes, pull_back
from DiffRegLib.ops.rays import Rays, Scan, scan_of

if TYPE_CHECKING:
    from jaxtyping import Float


class HasGeometry(Protocol):
    """An image: `data` (C,D,H,W) and `affine` (4,4), voxel index (i,j,k) to RAS mm."""

    @property
    def data(self) -> Tensor: ...

    @property
    def affine(self) -> Tensor: ...


class Volume(NamedTuple):
    """The least that `project` takes, and the way to give it a batch."""

    data: Tensor
    affine: Tensor


def default_step(affine: Tensor) -> float:
    """Half the smallest voxel spacing in mm."""
    return affine[:3, :3].double().norm(dim=0).min().item() / 2


def project(
    volume: HasGeometry,
    pose: Float[Tensor, "*B 4 4"],
    camera: Camera | Sequence[Camera],
    step: float | None = None,
    pixels: Tensor | None = None,
    backend: str = "auto",
) -> Float[Tensor, "B C *pixels"]:
    """Line integrals of a volume along the rays of a pinhole camera: values of the volume times mm.

    volume: `data` (C,D,H,W), or (B,C,D,H,W) with one volume a view, and `affine` (4,4) from voxel to RAS mm; it may be
        rotated, sheared and anisotropic. float16 and bfloat16 are read in place on CUDA.
    pose: (4,4) or (B,4,4) rigid, RAS mm: where the volume is moved before it is projected; the identity leaves it.
    camera: one, or one a view; all of the same image size.
    step: between two samples, mm; None is half the smallest voxel spacing.
    pixels: None for the whole image, a mask (rows, columns), or (P,2) integers (row, column).
    backend: "auto", "reference", "cpu" or "cuda".

    Returns (B,C,rows,columns), or (B,C,P) for a choice of pixels, in the order of the list or of the mask's rows.
    Differentiable to the volume's data and to pose; the gradient is differentiable to the data and to the incoming
    gradient on every backend. Raises RegistrationError for geometry or shapes that do not fit.

    The gradient is that of the sum over samples. A sample's slope jumps where it crosses a face between voxels, or the
    rim of a volume that is not zero at its border, so that a difference quotient comes close to the gradient only over
    short ways. For a block of ones, 32^3 voxels of 4 mm, half a voxel a step and random weights on 40^2 pixels, it is
    off by 7 % over 0.1 mm, 2 % over 0.01 mm, 0.4 % over 0.001 mm and 1e-6 over 1e-5 mm, in double precision. In single
    precision rounding spoils it over less than 0.01 mm, while the gradient itself keeps to 2e-5.
    """
    cameras = [camera] if isinstance(camera, Camera) else list(camera)
    data = volume.data if volume.data.ndim == 5 else volume.data[None]
    _check(data, cameras)
    if data.device.type == "cpu" and data.dtype in (torch.float16, torch.bfloat16):
        data = data.float()
    frames = frames_of(pose.to(data.device), volume.affine, cameras)
    step = default_step(volume.affine) if step is None else float(step)
    if not 0 < step < float("inf"):
        raise RegistrationError(f"step is {step}: give a positive number of mm.")
    if len(data) not in (1, len(frames)):
        raise RegistrationError(f"{len(data)} volumes for {len(frames)} views: give one volume, or one a view.")
    detector = detectors_of(cameras, data.device).expand(len(frames), -1)
    rows, columns = cameras[0].size
    if pixels is not None:
        chosen = _listed(pixels, rows, columns).to(data.device)
        return ops.project(data, Rays(frames, detector, chosen, columns), step, backend)
    scan = scan_of(rows, columns, data.device)
    return scan.image(ops.project(data, Rays(frames, detector, scan.pixels, columns), step, backend))


class Sloped(NamedTuple):
    """Radiographs (B,C,rows,columns) of a volume at B poses, and how they change with the poses.

    Both are linear in the volume and differentiable to it. So a loss on the gradient to the poses needs one projection
    and one backprojection; differentiating `project` twice takes a second of each, and the curvature along the rays.
    """

    images: Tensor
    sums: Tensor
    rays: Rays
    frames: Tensor

    def slope(self, grad: Float[Tensor, "B C rows columns"], to: Tensor) -> Tensor:
        """The gradient to what the poses were made of, from that to the radiographs; differentiable to it."""
        pulled = pull_back(self.scan.listed(grad), self.sums, self.rays)
        return torch.autograd.grad(self.frames, to, pulled, create_graph=torch.is_grad_enabled())[0]

    @property
    def scan(self) -> Scan:
        """The order of the pixels."""
        rows, columns = self.images.shape[-2:]
        return scan_of(rows, columns, self.images.device)


def project_sloped(volume: HasGeometry, pose: Float[Tensor, "B 4 4"], camera: Camera, step: float) -> Sloped:
    """As `project`, with slopes as values of their own; pose: made of what the gradient is wanted to."""
    data = volume.data[None]
    _check(data, [camera])
    rows, columns = camera.size
    frames = frames_of(pose.to(data.device), volume.affine, [camera])
    scan = scan_of(rows, columns, data.device)
    rays = Rays(frames, detectors_of([camera], data.device).expand(len(frames), -1), scan.pixels, columns)
    images, sums = project_with_slopes(data, rays, step)
    return Sloped(scan.image(images), sums, rays, frames)


def frames_of(
    pose: Float[Tensor, "*B 4 4"], affine: Float[Tensor, "4 4"], cameras: Sequence[Camera]
) -> Float[Tensor, "B 4 3"]:
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


def detectors_of(cameras: Sequence[Camera], device: torch.device) -> Tensor:
    """What the length of a ray depends on: distance mm, pitch mm (column, row), principal point px; (B,5) float64."""
    rows = [[camera.distance, *camera.spacing, *camera.center] for camera in cameras]
    return torch.tensor(rows, dtype=torch.float64, device=device)


def _check(data: Tensor, cameras: list[Camera]) -> None:
    if data.ndim != 5 or not data.is_floating_point() or not data.numel():
        raise RegistrationError(
            f"volume is {data.dtype} of shape {tuple(data.shape)}: give a floating (C, D, H, W) or (B, C, D, H, W)."
        )
    if not cameras or any(camera.size != cameras[0].size for camera in cameras):
        raise RegistrationError(f"cameras of sizes {[c.size for c in cameras]}: give one or more of the same size.")


def _listed(pixels: Tensor, rows: int, columns: int) -> Tensor:
    if pixels.dtype == torch.bool:
        if pixels.shape != (rows, columns):
            raise RegistrationError(f"mask of shape {tuple(pixels.shape)} for an image of ({rows}, {columns}).")
        return pixels.flatten().nonzero().flatten().int()
    if pixels.ndim != 2 or pixels.shape[1] != 2 or pixels.is_floating_point():
        raise RegistrationError(f"pixels are {pixels.dtype} of shape {tuple(pixels.shape)}: give (P, 2) integers.")
    row, column = pixels.long().unbind(1)
    if ((row < 0) | (row >= rows) | (column < 0) | (column >= columns)).any():
        raise RegistrationError(f"pixels lie outside the image of ({rows}, {columns}): remove them.")
    return (row * columns + column).int()
