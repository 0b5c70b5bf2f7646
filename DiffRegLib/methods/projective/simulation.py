"""Pairs of poses and simulated X-rays of one CT, from which the learned similarity is trained."""

from __future__ import annotations

import math

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
SPREAD = 2654435761  # between the seeds of runs; torch takes 32 bits of a seed
DARKEST = 12.0  # line integral beyond which no photon arrives


class Simulator:
    """X-rays of a CT at random poses; the number of an iteration decides what is drawn, so that a run can be resumed.

    volume: linear attenuation in 1/mm (1, D, H, W); organ: (1, D, H, W) 1 for the segmented tissue, whose contrast
    varies on its own; camera: of the size of the network's radiographs; pose: (4,4) about which X-rays are taken.
    """

    def __init__(self, volume: Image, organ: Tensor, camera: Camera, pose: Tensor, options: TrainingOptions) -> None:
        self.tissues = Image(torch.cat((volume.data * organ, volume.data * (1 - organ))), volume.affine)
        self.center, self.camera, self.pose, self.options = volume.center.double(), camera, pose.double(), options

    def draw(self, iteration: int) -> tuple[Tensor, Tensor, Tensor]:
        """Poses of the X-rays and starts, both (B,4,4) float64, and standardized X-rays (B,1,rows,columns)."""
        o = self.options
        random = torch.Generator().manual_seed((o.seed * SPREAD + iteration) % 2**32)
        targets = self._moved(self.pose.cpu().expand(o.batch, 4, 4), o.target_rotation, o.target_translation, random)
        near = torch.rand(o.batch, 1, dtype=torch.float64, generator=random)
        starts = self._moved(targets, o.start_rotation, o.start_translation, random, near)
        device = self.tissues.device
        with torch.no_grad():
            images = project(self.tissues, targets.to(device), self.camera)
            xrays = standardized(self._exposed(images, random))
        return targets.to(device), starts.to(device), xrays

    def _moved(
        self, poses: Tensor, degrees: float, mm: float, random: torch.Generator, share: Tensor | float = 1.0
    ) -> Tensor:
        spread = torch.tensor([math.radians(degrees)] * 3 + [mm] * 3, dtype=torch.float64)
        twist = torch.randn(len(poses), 6, dtype=torch.float64, generator=random) * spread * share
        return perturbed(poses, twist, self.center.cpu())

    def _exposed(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Line integrals (B,2,rows,columns) of both tissues to X-rays (B,1,rows,columns) with varied appearance."""
        amount, batch = self.options.augmentation, len(images)
        if not amount:
            return images.sum(1, keepdim=True)
        shape = (batch, 1, 1, 1)
        share = 1 + amount * TISSUE * (2 * torch.rand(batch, 2, 1, 1, generator=random) - 1)
        gamma = 1 + amount * GAMMA * (2 * torch.rand(shape, generator=random) - 1)
        photons = 10 ** (PHOTONS[0] + (PHOTONS[1] - PHOTONS[0]) * torch.rand(shape, generator=random))
        noise = torch.randn(batch, 1, *images.shape[2:], generator=random)
        share, gamma, photons, noise = (t.to(images) for t in (share, gamma, photons, noise))
        integrals = (share * images).sum(1, keepdim=True).clamp(0, DARKEST)
        noisy = integrals + amount * noise * ((integrals / 2).exp() / photons.sqrt()).clamp(max=1)
        return noisy.clamp(min=0) ** gamma
