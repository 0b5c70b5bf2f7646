"""Where in the radiograph each of many poses fits best: all shifts along the detector at once.

Turning the patient about the source moves its radiograph along the detector and leaves each ray's attenuation as it is.
So a radiograph that is rendered wider than the detector is compared with the X-ray at every shift, by the correlation
of what lies under both (D. Padfield, Masked object registration in the Fourier domain, IEEE Trans. Image Processing
2012), and two of the six numbers of a pose need no guessing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.methods.projective.crowd import Neighborhoods, evidence
from DiffRegLib.methods.projective.level import Level
from DiffRegLib.methods.projective.match import equalized
from DiffRegLib.methods.projective.views import View

PLACES = 2  # best shifts of each pose, by each of two correlations
DETAIL = 2.0  # pixels; standard deviation of the neighborhoods without which the second correlation compares
FLAT = 0.02  # of the largest variance under the detector at any shift; what varies less shows no anatomy
APART = 5  # pixels; shifts that are closer are one


class Seen(NamedTuple):
    """Radiographs (B, rows, columns) on a wide detector, and without brightness and contrast; weight of their rays."""

    shown: tuple[Tensor, Tensor]
    weight: Tensor


class Shifts:
    """One view (number `view` of a level) before which poses are moved by up to `margin` mm on the detector.

    Two correlations propose: of the values, and of what remains without brightness and contrast of neighborhoods.
    """

    def __init__(self, level: Level, view: int, margin: float) -> None:
        self.view, self.reach = level.views[view], _pixels(level.views[view], margin)
        self.camera = _widened(self.view.camera, self.reach)
        self.wide = level.seen_by(self.camera)
        self._mask, ranks = self.view.mask.float(), equalized(self.view.image, self.view.mask) - 0.5
        near = Neighborhoods(ranks.shape, DETAIL, ranks)
        self._far = Neighborhoods(self.camera.size, DETAIL, ranks)
        self._targets = [ranks, near.normalized(ranks[None], self._mask[None])[0][0]]

    def placed(self, poses: Tensor, seen: Seen | None = None) -> Tensor:
        """Poses (B,4,4) turned about the source to where they may belong: (4 B,4,4).

        seen: what `looked_at` returned for the same poses and camera.
        """
        seen = self.looked_at(poses) if seen is None else seen
        places = [
            _peaks(self._evidence(shown, target, seen.weight)) for shown, target in zip(seen.shown, self._targets)
        ]
        side = 2 * self.reach + 1
        best = torch.cat(places, 1).T.flatten()
        turns = self._turns((best // side - self.reach).double(), (best % side - self.reach).double())
        return turns @ poses.repeat(2 * PLACES, 1, 1)

    def looked_at(self, poses: Tensor) -> Seen:
        """The radiographs of poses (B,4,4) on the wide detector."""
        images = self.wide.renderer.images(poses)
        weight = self.wide.known(poses, images)[0]
        return Seen((images[0], self._far.normalized(images[0], weight)[0]), weight)

    def _evidence(self, shown: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """(B, 2 reach + 1, 2 reach + 1) for every shift."""
        seen = [self._spectrum(part) for part in (weight, weight * shown, weight * shown**2)]
        held = [self._spectrum(self._mask * part).conj() for part in (torch.ones_like(target), target, target**2)]
        mass = self._slid(seen[0] * held[0]).clamp(min=1e-3)
        first, second = self._slid(seen[1] * held[0]), self._slid(seen[0] * held[1])
        product = self._slid(seen[1] * held[1]) - first * second / mass
        own = (self._slid(seen[2] * held[0]) - first**2 / mass).clamp(min=0)
        other = self._slid(seen[0] * held[2]) - second**2 / mass
        own = own + FLAT * own.amax((1, 2), keepdim=True)
        correlation = product / (own * other.clamp(min=1e-3) + 1e-12).sqrt()
        return evidence(correlation.abs(), (mass / self._mask.sum()).clamp(max=1))

    def _spectrum(self, image: Tensor) -> Tensor:
        return torch.fft.rfft2(image, self.camera.size)

    def _slid(self, spectrum: Tensor) -> Tensor:
        side = 2 * self.reach + 1
        return torch.fft.irfft2(spectrum, self.camera.size)[:, :side, :side]

    def _turns(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(B,4,4): about the source, so that what appeared at a shift appears at the detector's middle."""
        across, down = self.view.camera.spacing
        angles = (
            torch.atan2(rows * down, rows.new_tensor(self.view.camera.distance)),
            torch.atan2(-columns * across, columns.new_tensor(self.view.camera.distance)),
        )
        turn = torch.zeros(len(rows), 4, 4, dtype=torch.float64)
        turn[:, 3, 3] = 1
        (sx, cx), (sy, cy) = ((a.sin(), a.cos()) for a in angles)
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 0, 2] = cy, sy * sx, sy * cx
        turn[:, 1, 1], turn[:, 1, 2] = cx, -sx
        turn[:, 2, 0], turn[:, 2, 1], turn[:, 2, 2] = -sy, cy * sx, cy * cx
        world = self.view.camera.pose.double()
        return world @ turn @ torch.linalg.inv(world)


def _peaks(maps: Tensor) -> Tensor:
    """(B, PLACES): where maps (B,H,W) have their highest peaks, as indices of the flattened map."""
    peak = maps >= F.max_pool2d(maps[:, None], APART, 1, APART // 2)[:, 0]
    return torch.where(peak, maps, -1.0).flatten(1).topk(PLACES, 1).indices


def _pixels(view: View, margin: float) -> int:
    return max(1, math.ceil(margin / min(map(abs, view.camera.spacing))))


def _widened(camera: Camera, reach: int) -> Camera:
    """The same pixels and `reach` more on every side."""
    column, row = camera.center
    size = (camera.size[0] + 2 * reach, camera.size[1] + 2 * reach)
    return replace(camera, size=size, principal=(column + reach, row + reach))
