"""Radiographs of a CT that follow a hand: quick ones while it moves, full ones when it rests."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.camera import Camera, misplaced
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.ops.device import choose_device
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.radiographs.attenuation import WATER, body_points
from DiffRegLib.radiographs.renderer import Renderer
from DiffRegLib.radiographs.resolution import COARSE, pixel_at, pooled

STILL, FIRST = 512, 256  # pixels side by side in a picture at rest at most, and in the first one that moves
WIDTHS = (512, 448, 384, 320, 256, 224, 192, 160, 128, 96, 64)  # of pictures that move
BUDGET = 16.0  # ms for a moving frame of all views; drawing them takes as long again
STRIDE = 1.0  # between two samples of a moving picture, of the smallest voxel spacing; at rest it is one half
BODY = 1000  # points, about, that say whether the CT is in the beam
MIDDLE = 0.6  # of the way from source to detector, where patients lie


class LiveRadiographs:
    """Line integrals of one volume in one or more views, as pictures for the screen.

    volume: attenuation (1,D,H,W) in 1/mm. cameras: of the full X-ray images, in the C-arm's world.
    device: "auto" (a GPU where torch finds one), "cpu" or "cuda".

    At rest a picture has the X-ray's own size, at most 512 pixels side by side. In motion it is as wide as the time for
    a frame allows, which is measured; on a GPU as at rest. The volume is averaged in blocks until its voxels match the
    pixels, so that nothing is skipped: where they are finer than the pixels, which is where pictures lose their detail.

    What motion costs, as rms of the difference from rest relative to the rms at rest, on a pelvis with voxels of 3 mm
    and a detector of 256 x 256 pixels of 1.46 mm: 0.02 % at full width, from the longer step alone; 0.12 % at 160,
    0.18 % at 128 and 0.9 % at 64 pixels, brought to the size at rest by linear interpolation. Of the last, 0.76 % are
    due to voxels that were averaged two by two by two.

    Raises RegistrationError for a volume of several channels, no camera, or a GPU that is not there. An object serves
    one thread at a time.
    """

    def __init__(self, volume: Image, cameras: Sequence[Camera], device: str = "auto") -> None:
        if volume.channels != 1 or not cameras:
            raise RegistrationError(
                f"{volume.channels} values a voxel and {len(cameras)} cameras: give one value and at least one camera."
            )
        self.cameras = tuple(cameras)
        self.volume = volume.to(choose_device(device))
        self._points = _body(volume)
        self._pace = Pace(FIRST, max(camera.size[1] for camera in cameras))
        self._width = self._pace.width
        self._volumes: dict[int, Image] = {}
        self._renderers: dict[tuple[int, int, bool], Renderer] = {}

    def render(self, pose: np.ndarray | Tensor, moving: bool) -> list[np.ndarray]:
        """(rows, columns) float32 line integrals of each camera at a pose (4,4), CT world to C-arm world, RAS mm."""
        matrix = _matrix(pose)
        if moving:
            self._width = self._pace.width
        renderer = self._renderer(matrix, moving)
        start = time.perf_counter()
        with torch.no_grad(), one_thread(kernels=True):
            pictures = [image[0].cpu().numpy() for image in renderer.images(matrix.to(self.volume.device))]
        if moving:
            self._pace.record(1000 * (time.perf_counter() - start))
        return pictures

    def camera(self, view: int, moving: bool) -> Camera:
        """The camera of exactly the latest pictures: that of the X-ray with pixels `factor` times as wide."""
        return self.cameras[view].resized(self.factor(view, moving))

    def factor(self, view: int, moving: bool) -> float:
        """How many times as wide as the X-ray's the pixels of the latest pictures are, at least 1."""
        width = STILL if self._rested(moving) else self._width
        return max(1.0, self.cameras[view].size[1] / width)

    def outside(self, pose: np.ndarray | Tensor) -> list[str]:
        """For each view "", or one sentence that says why it does not show the CT at this pose."""
        matrix = _matrix(pose)
        with one_thread():
            points = self._points @ matrix[:3, :3].T + matrix[:3, 3]
            found = [misplaced(camera, points) for camera in self.cameras]
        return [f"The CT lies {where}." if where else "" for where in found]

    def warm_up(self, pose: np.ndarray | Tensor | None = None) -> None:
        """Compiles or loads the kernels, prepares the volumes, and finds the width of moving pictures.

        pose: about which pictures are wanted; without, the CT is put into the middle of the first beam. Takes about a
        second; minutes after the installation, when the kernels are compiled.
        """
        matrix = self._in_beam() if pose is None else _matrix(pose)
        for _ in range(2 * len(WIDTHS)):
            before = self._pace.width
            for _ in range(Pace.SPAN + 1):
                self.render(matrix, True)
            if self._pace.width == before:
                break
        self.render(matrix, False)

    def _rested(self, moving: bool) -> bool:
        return not moving or self.volume.device.type != "cpu"

    def _renderer(self, pose: Tensor, moving: bool) -> Renderer:
        views = range(len(self.cameras))
        factors = [self.factor(view, moving) for view in views]
        coarse = self._blocks(pose, factors)
        rested = self._rested(moving)
        key = (coarse, STILL if rested else self._width, rested)
        if key not in self._renderers:
            volume = self._pooled(coarse)
            step = None if rested else STRIDE * float(volume.spacing.min())
            cameras = [camera.resized(factor) for camera, factor in zip(self.cameras, factors)]
            self._renderers[key] = Renderer(volume, cameras, step)
        return self._renderers[key]

    def _blocks(self, pose: Tensor, factors: Sequence[float]) -> int:
        """Of how many of its smallest spacings a voxel may be made, so that it matches a pixel where the CT lies."""
        place = pose[:3, :3] @ self.volume.center + pose[:3, 3]
        pixels = [
            factor * min(max(pixel_at(camera, place), 0.0), min(map(abs, camera.spacing)))
            for camera, factor in zip(self.cameras, factors)
        ]
        return max(1, int(COARSE * min(pixels) / float(self.volume.spacing.min()) + 1e-6))

    def _pooled(self, blocks: int) -> Image:
        if blocks not in self._volumes:
            self._volumes[blocks] = pooled(self.volume, blocks * float(self.volume.spacing.min()))
        return self._volumes[blocks]

    def _in_beam(self) -> Tensor:
        camera = self.cameras[0]
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, 3] = camera.source + MIDDLE * camera.distance * camera.pose[:3, 2] - self.volume.center
        return pose


class Pace:
    """Chooses the width of pictures by the time that they take.

    It narrows them when the median of three frames is over `BUDGET`, and widens them by one rung of `WIDTHS` when that
    would by its pixels stay well below. A width that proved too slow is not tried again for `PATIENCE` frames, so that
    pictures do not change their size back and forth. The first frame of a size, which prepares things, does not count.
    """

    SPAN, PATIENCE, MARGIN = 3, 240, 0.8

    def __init__(self, first: int, widest: int) -> None:
        narrower = tuple(width for width in WIDTHS if width < min(widest, STILL))
        self._widths = (min(widest, STILL), *narrower)
        self.width = next((width for width in self._widths if width <= first), self._widths[-1])
        self._times: list[float] | None = None
        self._barred: dict[int, int] = {}

    def record(self, ms: float) -> None:
        """Takes the time of one frame at the present width into account."""
        self._barred = {width: frames - 1 for width, frames in self._barred.items() if frames > 1}
        if self._times is None:
            self._times = []
            return
        self._times = [*self._times, ms][-self.SPAN :]
        if len(self._times) < self.SPAN:
            return
        usual = statistics.median(self._times)
        rung = self._widths.index(self.width)
        if usual > BUDGET and rung + 1 < len(self._widths):
            self._barred[self.width] = self.PATIENCE
            fitting = self.width * (BUDGET / usual) ** 0.5
            narrower = self._widths[rung + 1 :]
            self._take(next((width for width in narrower if width <= fitting), narrower[-1]))
        elif rung > 0 and self._widths[rung - 1] not in self._barred:
            wider = self._widths[rung - 1]
            if usual * (wider / self.width) ** 2 < self.MARGIN * BUDGET:
                self._take(wider)

    def _take(self, width: int) -> None:
        self.width, self._times = width, None


def _matrix(pose: np.ndarray | Tensor) -> Tensor:
    """The pose as a float64 tensor on the CPU; raises RegistrationError where it is none."""
    own = pose if isinstance(pose, Tensor) else np.array(pose, dtype=np.float64)
    matrix = torch.as_tensor(own).detach().to("cpu", torch.float64)
    if matrix.shape != (4, 4) or not bool(matrix.isfinite().all()):
        raise RegistrationError(f"The pose has the shape {tuple(matrix.shape)}: give a finite 4 x 4 matrix.")
    return matrix


def _body(volume: Image) -> Tensor:
    """(N,3) float64 RAS mm of points in the body of a volume of attenuation, about `BODY` of them."""
    stride = max(1, round((volume.data.numel() / BODY / 4) ** (1 / 3)))
    thin = volume.data[:, ::stride, ::stride, ::stride].cpu()
    affine = volume.affine.clone().cpu()
    affine[:3, :3] *= stride
    return body_points(Image((thin / WATER - 1) * 1000, affine), thin.numel())
