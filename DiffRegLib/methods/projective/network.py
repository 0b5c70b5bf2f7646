"""The learned similarity: a network whose value falls toward the pose like a squared distance of poses.

A 3D residual network turns the CT into channels, the projector takes radiographs of them at a pose, and two encoders
without common weights embed those and the X-ray. The similarity is the squared error of the embeddings (Gao et al.,
ProST, MICCAI 2020). All activations are smooth, so that its gradient to the pose has a gradient to the weights
that changes everywhere. Written anew; widths, normalization and the form of the blocks are not the paper's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from DiffRegLib.camera import Camera
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.motion import RADIUS
from DiffRegLib.methods.projective.training_options import NetworkOptions
from DiffRegLib.radiographs.attenuation import WATER
from DiffRegLib.radiographs.projection import project, project_sloped
from DiffRegLib.transforms.se3 import perturbed

UNIT = 30.0  # mm; a twist of one is a shift by this, or a turn by this at RADIUS
DEPTH = 100.0  # mm of water that project to one
TINY = 1e-6


class SimilarityNetwork(nn.Module):
    """Similarity of radiographs of a volume and X-rays; 0 is best. The seed of torch decides its first weights."""

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.options = options
        self.volume = VolumeNetwork(1 + options.segmentation, options.features, options.width, options.blocks)
        self.moving = Encoder(options.features, options.encoder_width, options.stages, options.embedding)
        self.fixed = Encoder(1, options.encoder_width, options.stages, options.embedding)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self._begin_alike()

    def channels(self, volume: Image, segmentation: Tensor | None = None) -> Image:
        """What is projected: (features, D, H, W) on the grid of the volume, linear attenuation in 1/mm (1, D, H, W).

        segmentation: (1, D, H, W), 1 where the organ is; used where the options say so. Differentiable to the weights.
        """
        data = volume.data / WATER
        if self.options.segmentation:
            data = torch.cat((data, segmentation.to(data)))
        return Image(self.volume(data[None])[0] / DEPTH, volume.affine)

    def compare(
        self, channels: Image, poses: Tensor, camera: Camera, xrays: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """(B,) for poses (B,4,4) and X-rays (B,1,rows,columns), `standardized` with the same mask (rows, columns).

        Differentiable to poses and weights.
        """
        return self.distance(*self.embedded(channels, poses, camera, xrays, mask))

    def embedded(
        self, channels: Image, poses: Tensor, camera: Camera, xrays: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What `compare` compares: (B,C,...) of the radiographs at the poses, and of the X-rays."""
        images = project(channels, poses, camera, _step(channels))
        return self.moving(standardized(images, mask)), self.fixed(xrays)

    def slope(
        self,
        channels: Image,
        poses: Tensor,
        center: Tensor,
        camera: Camera,
        xrays: Tensor,
        mask: Tensor | None = None,
    ) -> Compared:
        """The similarity and its gradient to a twist of the poses (B,4,4), differentiable to the weights.

        center: (3,) RAS mm of the volume in its own frame. The twist is a turn about its place and a shift along the
        axes of the world, in `UNIT`, see `pushed`.
        """
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            twist = torch.zeros(len(poses), 6, dtype=torch.float64, device=poses.device, requires_grad=True)
            sloped = project_sloped(channels, pushed(poses, twist, center), camera, _step(channels))
            images = sloped.images if sloped.images.requires_grad else sloped.images.requires_grad_()
            embedded = self.moving(standardized(images, mask)), self.fixed(xrays)
            values = self.distance(*embedded)
            (gradient,) = torch.autograd.grad(values.sum(), images, create_graph=training)
            slope = sloped.slope(gradient, twist)
        return Compared(values, slope if training else slope.detach(), embedded)

    def distance(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """The similarity (...,) of embeddings (..., C, rows, columns)."""
        return self.log_scale.exp() * (moving - fixed).square().flatten(-3).mean(-1)

    def _begin_alike(self) -> None:
        """Both encoders compute the same at first, so that training begins with a similarity that is 0 at the pose."""
        weights = self.fixed.state_dict()
        weights["layers.0.weight"] = weights["layers.0.weight"].expand_as(self.moving.layers[0].weight)
        weights["layers.0.weight"] = weights["layers.0.weight"] / self.options.features
        self.moving.load_state_dict(weights)


class Compared(NamedTuple):
    """The similarity (B,) of B poses and X-rays, its gradient (B,6) to a twist, and both embeddings (B,C,...)."""

    values: Tensor
    slopes: Tensor
    embedded: tuple[Tensor, Tensor]


class VolumeNetwork(nn.Module):
    """3D residual network; its output is added to the attenuation, which it leaves unchanged before training."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv3d(inputs, width, 3, padding=1)
        self.blocks = nn.Sequential(*[Residual(width, 3) for _ in range(blocks)])
        self.tail = nn.Conv3d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, volume: Tensor) -> Tensor:
        """(B, inputs, D, H, W), attenuation first, in units of water, to (B, outputs, D, H, W)."""
        return volume[:, :1] + self.tail(F.silu(self.blocks(self.head(volume))))


class Encoder(nn.Module):
    """2D residual network that halves the resolution at every stage, in the first at once, and doubles its width."""

    def __init__(self, inputs: int, width: int, stages: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 5, stride=2, padding=2)]
        for _ in range(stages - 1):
            layers += [Residual(width, 2), nn.SiLU(), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)]
            width *= 2
        self.layers = nn.Sequential(*layers, Residual(width, 2), nn.SiLU(), nn.Conv2d(width, outputs, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(B, inputs, rows, columns) to (B, outputs, rows / 2^stages, columns / 2^stages), rounded up."""
        return self.layers(image)


class Residual(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))) in 2 or 3 dimensions."""

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
        groups = next(g for g in (4, 3, 2, 1) if width % g == 0)
        parts = [
            layer for _ in range(2) for layer in (nn.GroupNorm(groups, width), nn.SiLU(), conv(width, width, 3, 1, 1))
        ]
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.parts(x)


def _step(channels: Image) -> float:
    """mm between two samples of a ray: one a voxel, for what is smooth over several."""
    return float(channels.affine[:3, :3].norm(dim=0).min())


def standardized(images: Tensor, mask: Tensor | None = None) -> Tensor:
    """Images (..., rows, columns) of mean 0 and variance 1 inside a mask (..., rows, columns), 0 outside of it."""
    weight = torch.ones_like(images) if mask is None else mask.to(images).expand_as(images)
    total = weight.sum((-2, -1), keepdim=True).clamp(min=1)
    centered = (images - (weight * images).sum((-2, -1), keepdim=True) / total) * weight
    return centered / ((centered**2).sum((-2, -1), keepdim=True) / total + TINY).sqrt()


def pushed(poses: Tensor, twist: Tensor, center: Tensor) -> Tensor:
    """Poses (..., 4, 4) after a twist (..., 6) in `UNIT` about the place of the volume's center (3,)."""
    return perturbed(poses, torch.cat((twist[..., :3] * (UNIT / RADIUS), twist[..., 3:] * UNIT), -1), center)
