"""Radiographs of a posed volume with the derivative of every pixel to the six numbers of a motion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from DiffRegLib import ops
from DiffRegLib.camera import Camera
from DiffRegLib.image import Image
from DiffRegLib.ops.projection import project_with_sums
from DiffRegLib.ops.rays import Rays, scan_of
from DiffRegLib.radiographs.projection import default_step, detectors_of, frames_of

BATCH = 2**21  # pixels that are rendered at a time


class Renderer:
    """One volume seen by one or more cameras, each with an image size of its own.

    volume: attenuation (1,D,H,W) in 1/mm. A pose is (4,4) or (B,4,4) float64, CT world to world of the cameras, RAS mm.
    """

    def __init__(self, volume: Image, cameras: Sequence[Camera], step: float | None = None) -> None:
        self.volume = volume
        self.cameras = tuple(cameras)
        self.step = step or default_step(volume.affine)
        self._data = volume.data[None]
        self._screens = [_Screen(camera, volume.device) for camera in self.cameras]

    def images(self, poses: Tensor) -> list[Tensor]:
        """Line integrals (B, rows, columns) of each camera."""
        return [self._batched(screen, poses.reshape(-1, 4, 4)) for screen in self._screens]

    def with_jacobian(self, poses: Tensor, generators: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Line integrals (B, rows, columns) of each camera and their derivatives (B, 6, rows, columns) to a motion.

        generators: (6,4,4), or (B,6,4,4) for (B,4,4) poses, see `motion.twists`; without a B for one pose (4,4) alone.
        With A and B of `ops.projection`, a pixel p = first + column c + row r and the source s change by ds and dp:
        dI = (A - B) ds + B dp.
        """
        if poses.ndim == 3:
            return [self._linearized(screen, poses, generators) for screen in self._screens]
        parts = [self._linearized(screen, poses[None], generators[None]) for screen in self._screens]
        return [(image[0], jacobian[0]) for image, jacobian in parts]

    def seen_by(self, camera: Camera) -> Renderer:
        """The same volume before one other camera."""
        return Renderer(self.volume, (camera,), self.step)

    def _batched(self, screen: _Screen, poses: Tensor) -> Tensor:
        chunk = max(1, BATCH // len(screen.pixels))
        parts = [ops.project(self._data, self._rays(screen, part), self.step)[:, 0] for part in poses.split(chunk)]
        return screen.restored(torch.cat(parts))

    def _rays(self, screen: _Screen, poses: Tensor) -> Rays:
        frames = frames_of(poses, self.volume.affine, [screen.camera])
        return Rays(frames, screen.detector.expand(len(frames), -1), screen.pixels, screen.camera.size[1])

    def _linearized(self, screen: _Screen, poses: Tensor, generators: Tensor) -> tuple[Tensor, Tensor]:
        rays = self._rays(screen, poses)
        image, sums = project_with_sums(self._data, rays, self.step)
        first, far = self._across(screen, rays, image[:, 0], sums[:, 0])
        near = first - far
        rates = _frame_rates(poses, generators, self.volume.affine, screen.camera).to(image.dtype)  # (B,6,4,3)
        jacobian = rates[:, :, 0] @ near + rates[:, :, 1] @ far
        jacobian += (rates[:, :, 2] @ far) * screen.column + (rates[:, :, 3] @ far) * screen.row
        return screen.restored(image[:, 0]), screen.restored(jacobian)

    def _across(self, screen: _Screen, rays: Rays, image: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
        """A and B (B,3,P) as the integral has them along a ray, where samples a step apart leave ripples.

        Moving the volume along a ray leaves its integral as it is: with d from source to pixel, A d = 0 and, by parts,
        B d = -I. What the samples say instead is no small error: it is all that most rays tell of the depth.
        """
        source, first, across, down = rays.frames.to(image.dtype).unbind(1)  # (B,3)
        start = (first - source)[:, :, None]
        ray = start + across[:, :, None] * screen.column + down[:, :, None] * screen.row  # (B,3,P)
        axes = self.volume.affine[:3, :3].to(ray)
        along = (axes.T @ axes) @ ray
        along = along / (along * ray).sum(1, keepdim=True)
        near, far = sums[:, :, :3].mT, sums[:, :, 3:].mT
        near = near - along * (near * ray).sum(1, keepdim=True)
        return near, far - along * ((far * ray).sum(1) + image)[:, None]


class _Screen:
    """A detector: its pixels as they are rendered, with column and row of each."""

    def __init__(self, camera: Camera, device: torch.device) -> None:
        self.camera = camera
        rows, columns = camera.size
        self._scan = scan_of(rows, columns, device)
        self.pixels = self._scan.pixels
        self.detector = detectors_of([camera], device)
        self.column = (self.pixels % columns).float()
        self.row = (self.pixels // columns).float()

    def restored(self, values: Tensor) -> Tensor:
        """(K, P) in the order of rendering to (K, rows, columns)."""
        return self._scan.image(values)


def _frame_rates(poses: Tensor, generators: Tensor, affine: Tensor, camera: Camera) -> Tensor:
    """Derivatives (B,6,4,3) of source, first pixel, column step and row step in voxels to motions exp(G) pose.

    The volume moves, so that in its voxels the rays move by the inverse: d inv(exp(G) M) = -inv(M) G.
    """
    device = poses.device
    here = torch.eye(4, dtype=torch.float64, device=device)
    at_camera = frames_of(here, here, [camera])[0]  # (4,3): in the world of the cameras
    homogeneous = torch.cat([at_camera, torch.tensor([[1.0], [1.0], [0.0], [0.0]], dtype=torch.float64).to(device)], 1)
    to_voxel = torch.linalg.inv(poses @ affine.to(device, torch.float64))[:, None]
    return -(to_voxel @ generators @ homogeneous.T)[:, :, :3].mT
