"""Pairs of poses and simulated X-rays of one CT, from which the learned similarity is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.network import standardized
from DiffRegLib.methods.projective.training_options import TrainingOptions
from DiffRegLib.radiographs.projection import project
from DiffRegLib.transforms.se3 import perturbed

TISSUE = 0.25  # by which the attenuation of bone, and of the rest, varies
GAMMA = 0.25  # by which the exponent of the grey scale varies
PHOTONS = (3.0, 5.0)  # decimal logarithms of photons a pixel, from coarse to fine noise
DARKEST = 12.0  # line integral beyond which no photon arrives
SMALLEST = 0.5  # half width of the exposed part of a collimated detector, in half widths of the detector
METAL = (1.0, 4.0)  # line integral of an instrument
THIN, LONG = (0.02, 0.06), (0.2, 1.0)  # half width and half length of an instrument, in half widths of the detector
INSTRUMENTS = 2  # at most


class Drawn(NamedTuple):
    """Poses of X-rays and starts, both (B,4,4) float64, and X-rays (B,1,rows,columns).

    seen: (1,1,rows,columns) 1 where they show something: all alike, since each is compared with each of the poses.
    """

    targets: Tensor
    starts: Tensor
    xrays: Tensor
    seen: Tensor


class Simulator:
    """X-rays of a CT at random poses.

    volume: linear attenuation in 1/mm (1, D, H, W); organ: (1, D, H, W) 1 for the segmented tissue, whose contrast
    varies on its own; camera: of the size of the network's radiographs; pose: (4,4) about which X-rays are taken.
    """

    def __init__(self, volume: Image, organ: Tensor, camera: Camera, pose: Tensor, options: TrainingOptions) -> None:
        self.tissues = Image(torch.cat((volume.data * organ, volume.data * (1 - organ))), volume.affine)
        self.step = float(volume.spacing.min())  # one sample a voxel: what is learned from is smooth over several
        self.center, self.camera, self.pose, self.options = volume.center.double(), camera, pose.double(), options

    @torch.no_grad()
    def draw(self, draws: Sequence[torch.Generator], device: torch.device) -> Drawn:
        """X-rays at random poses, standardized where they show something.

        draws: the random numbers of each of the B samples.
        """
        o = self.options
        targets = self._moved(self.pose, _drawn(torch.randn, draws, 6), o.target_rotation, o.target_translation)
        near = _drawn(torch.rand, draws, 1)
        starts = self._moved(targets, near * _drawn(torch.randn, draws, 6), o.start_rotation, o.start_translation)
        images = project(self.tissues.to(device), targets.to(device), self.camera, self.step)
        seen = collimated(draws[:1], self.camera.size, o.occlusion).to(images)
        return Drawn(targets.to(device), starts.to(device), standardized(self._exposed(images, draws), seen), seen)

    def _moved(self, poses: Tensor, twist: Tensor, degrees: float, mm: float) -> Tensor:
        spread = torch.tensor([math.radians(degrees)] * 3 + [mm] * 3, dtype=torch.float64)
        return perturbed(poses.expand(len(twist), 4, 4), twist * spread, self.center)

    def _exposed(self, images: Tensor, draws: Sequence[torch.Generator]) -> Tensor:
        """Line integrals (B,2,rows,columns) of both tissues to X-rays (B,1,rows,columns) with varied appearance."""
        amount = self.options.augmentation
        share = 1 + amount * TISSUE * (2 * _drawn(torch.rand, draws, 2, 1, 1) - 1)
        gamma = 1 + amount * GAMMA * (2 * _drawn(torch.rand, draws, 1, 1, 1) - 1)
        photons = 10 ** (PHOTONS[0] + (PHOTONS[1] - PHOTONS[0]) * _drawn(torch.rand, draws, 1, 1, 1))
        noise = _drawn(torch.randn, draws, 1, *images.shape[2:])
        metal = instruments(draws, images.shape[2:], self.options.occlusion)
        share, gamma, photons, noise, metal = (t.to(images) for t in (share, gamma, photons, noise, metal))
        integrals = (share * images).sum(1, keepdim=True) + metal
        if not amount:
            return integrals
        integrals = integrals.clamp(0, DARKEST)
        noisy = integrals + amount * noise * ((integrals / 2).exp() / photons.sqrt()).clamp(max=1)
        return noisy.clamp(min=0) ** gamma


def collimated(draws: Sequence[torch.Generator], size: Sequence[int], share: float) -> Tensor:
    """(B,1,rows,columns) 1 in the part of the detector that is exposed: a disk or a turned rectangle; else 0.

    share: of the X-rays that are collimated at all, in the mean.
    """
    chance, round_, u, v, turn = _drawn(torch.rand, draws, 5).unbind(1)
    half = SMALLEST + (1 - SMALLEST) * _drawn(torch.rand, draws, 2)
    across, down = _turned(size, torch.stack((u, v), 1) * 0.4 - 0.2, turn * math.pi)
    disk = across**2 + down**2 < half[:, :1, None] ** 2
    rectangle = (across.abs() < half[:, :1, None]) & (down.abs() < half[:, 1:, None])
    inside = torch.where((round_ < 0.5)[:, None, None], disk, rectangle) | (chance >= share)[:, None, None]
    return inside[:, None].double()


def instruments(draws: Sequence[torch.Generator], size: Sequence[int], share: float) -> Tensor:
    """(B,1,rows,columns) line integrals of straight pieces of metal, in a share of the X-rays."""
    chance, count = _drawn(torch.rand, draws, 2, 1).unbind(1)
    count = torch.where(chance < share, 1 + (count * INSTRUMENTS).floor(), 0)
    total = torch.zeros(len(draws), *size, dtype=torch.float64)
    for number in range(INSTRUMENTS):
        u, v, turn, thin, long, metal = _drawn(torch.rand, draws, 6).unbind(1)
        along, beside = _turned(size, 1.6 * torch.stack((u, v), 1) - 0.8, turn * math.pi)
        width, length = (low + (high - low) * r for (low, high), r in ((THIN, thin), (LONG, long)))
        inside = (
            (along.abs() < length[:, None, None]) & (beside.abs() < width[:, None, None]) & (count > number)[..., None]
        )
        total += inside * (METAL[0] + (METAL[1] - METAL[0]) * metal)[:, None, None]
    return total[:, None]


def _turned(size: Sequence[int], center: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (B,rows,columns) along two axes turned by (B,) about a center (B,2), in half widths of a detector."""
    rows, columns = size
    v, u = (torch.linspace(-1, 1, n, dtype=torch.float64) * n / max(size) for n in (rows, columns))
    u, v = (u - center[:, :1])[:, None, :], (v - center[:, 1:])[:, :, None]
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    return u * cos + v * sin, v * cos - u * sin


def _drawn(kind: Callable[..., Tensor], draws: Sequence[torch.Generator], *shape: int) -> Tensor:
    """(B, *shape) float64: what each sample draws."""
    return torch.stack([kind(shape, dtype=torch.float64, generator=draw) for draw in draws])
