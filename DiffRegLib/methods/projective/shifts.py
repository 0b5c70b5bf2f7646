"""Where in the radiograph each of many poses fits best: all shifts along the detector and turns within it at once.

Turning the patient about the source moves its radiograph along the detector, turning it about the central ray turns
the radiograph, and both leave each ray's attenuation as it is. So a radiograph that is rendered wider than the detector
is compared with the X-ray at every shift and several turns, by the correlation of what lies under both (D. Padfield,
Masked object registration in the Fourier domain, IEEE Trans. Image Processing 2012), and three of the six numbers of a
pose need no guessing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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

PLACES = 2  # best places of each pose, by each of two correlations
DETAIL = 2.0  # pixels; standard deviation of the neighborhoods without which the second correlation compares
FLAT = 0.02  # of the largest variance under the detector at any shift; what varies less shows no anatomy
APART = 5  # pixels; shifts that are closer are one


class Seen(NamedTuple):
    """Radiographs (B, rows, columns) on a wide detector, and without brightness and contrast; weight of their rays."""

    shown: tuple[Tensor, Tensor]
    weight: Tensor


class Shifts:
    """One view (number `view` of a level) before which poses are moved by up to `margin` mm on the detector.

    spins: turns about the central ray that are tried, radians. Two correlations propose: of the values, and of what
    remains without brightness and contrast of neighborhoods.
    """

    def __init__(self, level: Level, view: int, margin: float, spins: Sequence[float] = (0.0,)) -> None:
        self.view, self.reach, self.spins = level.views[view], _pixels(level.views[view], margin), tuple(spins)
        self.camera = _widened(self.view.camera, self.reach)
        self.wide = level.seen_by(self.camera)
        mask, ranks = self.view.mask.float(), equalized(self.view.image, self.view.mask) - 0.5
        near = Neighborhoods(ranks.shape, DETAIL, ranks)
        self._far = Neighborhoods(self.camera.size, DETAIL, ranks)
        self._count = mask.sum()
        turned = _spun(torch.stack([mask, ranks, near.normalized(ranks[None], mask[None])[0][0]]), self.view, spins)
        held = (turned[:, 0] > 0.99).to(turned)
        self._targets = [self._held(held, turned[:, feature]) for feature in (1, 2)]

    def placed(self, poses: Tensor, seen: Seen | None = None) -> Tensor:
        """Poses (B,4,4) turned about the source to where they may belong: (4 B,4,4).

        seen: what `looked_at` returned for the same poses and camera.
        """
        seen = self.looked_at(poses) if seen is None else seen
        maps = (self._evidence(shown, held, seen.weight) for shown, held in zip(seen.shown, self._targets))
        best = torch.cat([_peaks(part) for part in maps], 1).T.flatten().cpu()
        side = 2 * self.reach + 1
        row, column, spin = best // side % side, best % side, best // side**2
        turns = self._turns((row - self.reach).double(), (column - self.reach).double(), spin)
        return turns.to(poses) @ poses.repeat(2 * PLACES, 1, 1)

    def looked_at(self, poses: Tensor) -> Seen:
        """The radiographs of poses (B,4,4) on the wide detector."""
        images = self.wide.renderer.images(poses)
        weight = self.wide.known(poses, images)[0]
        return Seen((images[0], self._far.normalized(images[0], weight)[0]), weight)

    def _held(self, mask: Tensor, target: Tensor) -> list[Tensor]:
        """What the X-ray, turned (S, rows, columns), brings to the correlation."""
        return [self._spectrum(mask * part).conj() for part in (torch.ones_like(target), target, target**2)]

    def _evidence(self, shown: Tensor, held: list[Tensor], weight: Tensor) -> Tensor:
        """(B, S, 2 reach + 1, 2 reach + 1) for every turn and shift."""
        seen = [self._spectrum(part)[:, None] for part in (weight, weight * shown, weight * shown**2)]
        mass = self._slid(seen[0] * held[0]).clamp(min=1e-3)
        first, second = self._slid(seen[1] * held[0]), self._slid(seen[0] * held[1])
        product = self._slid(seen[1] * held[1]) - first * second / mass
        own = (self._slid(seen[2] * held[0]) - first**2 / mass).clamp(min=0)
        other = self._slid(seen[0] * held[2]) - second**2 / mass
        own = own + FLAT * own.amax((2, 3), keepdim=True)
        correlation = product / (own * other.clamp(min=1e-3) + 1e-12).sqrt()
        return evidence(correlation.abs(), (mass / self._count).clamp(max=1))

    def _spectrum(self, images: Tensor) -> Tensor:
        return torch.fft.rfft2(images, self.camera.size)

    def _slid(self, spectrum: Tensor) -> Tensor:
        side = 2 * self.reach + 1
        return torch.fft.irfft2(spectrum, self.camera.size)[..., :side, :side]

    def _turns(self, rows: Tensor, columns: Tensor, spin: Tensor) -> Tensor:
        """(B,4,4): about the source, so that what appeared at a shift appears at the detector's middle, then turned."""
        across, down = self.view.camera.spacing
        distance = rows.new_tensor(self.view.camera.distance)
        tilt = _about(0, torch.atan2(rows * down, distance))
        pan = _about(1, torch.atan2(-columns * across, distance))
        spun = _about(2, rows.new_tensor(self.spins)[spin])
        world = self.view.camera.pose.double()
        return world @ spun @ pan @ tilt @ torch.linalg.inv(world)


def _about(axis: int, angles: Tensor) -> Tensor:
    """(B,4,4) float64: turns by angles (B,) in radians about axis 0, 1 or 2."""
    turn = torch.eye(4, dtype=torch.float64).repeat(len(angles), 1, 1)
    first, second = ((1, 2), (2, 0), (0, 1))[axis]
    turn[:, first, first] = turn[:, second, second] = angles.cos()
    turn[:, second, first], turn[:, first, second] = angles.sin(), -angles.sin()
    return turn


def _spun(images: Tensor, view: View, spins: Sequence[float]) -> Tensor:
    """Images (K, rows, columns) of a view (S,K, rows, columns) as they would be with the patient turned back by spins.

    The turn is about the central ray, which arrives at the principal point; 0 where the image has nothing.
    """
    (across, down), (column, row), (rows, columns) = view.camera.spacing, view.camera.center, images.shape[1:]
    x = (torch.arange(columns) - column) * across
    y = ((torch.arange(rows) - row) * down)[:, None]
    turned = []
    for spin in spins:
        sine, cosine = math.sin(spin), math.cos(spin)
        at = ((cosine * x - sine * y) / across + column, (sine * x + cosine * y) / down + row)
        grid = torch.stack([(2 * at[0] + 1) / columns - 1, (2 * at[1] + 1) / rows - 1], -1).to(images)
        turned.append(F.grid_sample(images[None], grid[None], align_corners=False)[0])
    return torch.stack(turned)


def _peaks(maps: Tensor) -> Tensor:
    """(B, PLACES): where maps (B,S,H,W) have their highest peaks, as indices of the flattened map."""
    peak = maps >= F.max_pool3d(maps, (3, APART, APART), 1, (1, APART // 2, APART // 2))
    return torch.where(peak, maps, -1.0).flatten(1).topk(PLACES, 1).indices


def _pixels(view: View, margin: float) -> int:
    return max(1, math.ceil(margin / min(map(abs, view.camera.spacing))))


def _widened(camera: Camera, reach: int) -> Camera:
    """The same pixels and `reach` more on every side."""
    column, row = camera.center
    size = (camera.size[0] + 2 * reach, camera.size[1] + 2 * reach)
    return replace(camera, size=size, principal=(column + reach, row + reach))
