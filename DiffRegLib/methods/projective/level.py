"""One resolution of a scene: radiographs, and what renders the CT as they would show it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.methods.projective.views import View
from DiffRegLib.radiographs.renderer import Renderer

BLOCK = 2  # pixels; what lies beyond is smooth, and is rendered once a block
FAINT = 0.05  # line integral that counts as nothing: rays through air are known where nothing lies beyond


class Level(NamedTuple):
    """Radiographs of one size with renderers of the volume and of its soft tissue.

    beyond: of what was guessed beyond its cut faces, in blocks of pixels, None where the volume ends as the CT does.
    """

    views: tuple[View, ...]
    renderer: Renderer
    soft: Renderer
    beyond: Renderer | None

    def known(self, poses: Tensor, images: list[Tensor]) -> list[Tensor]:
        """Weights (B, rows, columns) of each camera's rays: the part of their attenuation that the CT knows, squared.

        poses: (B,4,4); images: (B, rows, columns) of each camera, rendered there. Squared, because what is not known is
        off in the image and in its derivative.
        """
        if self.beyond is None:
            return [torch.ones_like(whole) for whole in images]
        guesses = [_enlarged(guessed, whole) for guessed, whole in zip(self.beyond.images(poses), images)]
        pairs = zip(images, guesses)
        return [(1 - guessed / (torch.maximum(whole, guessed) + FAINT)) ** 2 for whole, guessed in pairs]

    def seen_by(self, camera: Camera) -> Level:
        """The same volumes before one other camera, without a radiograph."""
        beyond = None if self.beyond is None else self.beyond.seen_by(camera.resized(BLOCK))
        return Level((), self.renderer.seen_by(camera), self.soft.seen_by(camera), beyond)


def _enlarged(blocks: Tensor, whole: Tensor) -> Tensor:
    """Images (B,h,w) with a value a block to the pixels (B,H,W) of others."""
    pixels = F.interpolate(blocks[:, None], scale_factor=BLOCK, mode="bilinear", align_corners=False)
    missing = [n for size, had in zip(whole.shape[:0:-1], pixels.shape[:1:-1]) for n in (0, size - had)]
    return F.pad(pixels, missing, mode="replicate")[:, 0]
