"""Pairs of poses and simulated X-rays of one CT, from which the learned similarity is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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
    def draw(self, draws: Sequence[torch.Generator], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Poses of the X-rays and starts, both (B,4,4) float64, and standardized X-rays (B,1,rows,columns).

        draws: the random numbers of each of the B samples.
        """
        o = self.options
        targets = self._moved(self.pose, _drawn(torch.randn, draws, 6), o.target_rotation, o.target_translation)
        near = _drawn(torch.rand, draws, 1)
        starts = self._moved(targets, near * _drawn(torch.randn, draws, 6), o.start_rotation, o.start_translation)
        images = project(self.tissues.to(device), targets.to(device), self.camera, self.step)
        return targets.to(device), starts.to(device), standardized(self._exposed(images, draws))

    def _moved(self, poses: Tensor, twist: Tensor, degrees: float, mm: float) -> Tensor:
        spread = torch.tensor([math.radians(degrees)] * 3 + [mm] * 3, dtype=torch.float64)
        return perturbed(poses.expand(len(twist), 4, 4), twist * spread, self.center)

    def _exposed(self, images: Tensor, draws: Sequence[torch.Generator]) -> Tensor:
        """Line integrals (B,2,rows,columns) of both tissues to X-rays (B,1,rows,columns) with varied appearance."""
        amount = self.options.augmentation
        if not amount:
            return images.sum(1, keepdim=True)
        share = 1 + amount * TISSUE * (2 * _drawn(torch.rand, draws, 2, 1, 1) - 1)
        gamma = 1 + amount * GAMMA * (2 * _drawn(torch.rand, draws, 1, 1, 1) - 1)
        photons = 10 ** (PHOTONS[0] + (PHOTONS[1] - PHOTONS[0]) * _drawn(torch.rand, draws, 1, 1, 1))
        noise = _drawn(torch.randn, draws, 1, *images.shape[2:])
        share, gamma, photons, noise = (t.to(images) for t in (share, gamma, photons, noise))
        integrals = (share * images).sum(1, keepdim=True).clamp(0, DARKEST)
        noisy = integrals + amount * noise * ((integrals / 2).exp() / photons.sqrt()).clamp(max=1)
        return noisy.clamp(min=0) ** gamma


def _drawn(kind: Callable[..., Tensor], draws: Sequence[torch.Generator], *shape: int) -> Tensor:
    """(B, *shape) float64: what each sample draws."""
    return torch.stack([kind(shape, dtype=torch.float64, generator=draw) for draw in draws])
