"""One resolution of a scene: radiographs, and what renders the CT as they would show it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.methods.projective.views import View
from DiffRegLib.radiographs.renderer import Renderer

FAINT = 0.05  # line integral that counts as nothing: rays through air are known where nothing lies beyond


class Level(NamedTuple):
    """Radiographs of one size with renderers of the volume and of its soft tissue.

    beyond: of what was guessed beyond the cut faces of the CT, None where the volume ends as the CT does.
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
        pairs = zip(images, self.beyond.images(poses))
        return [(1 - guessed / (torch.maximum(whole, guessed) + FAINT)) ** 2 for whole, guessed in pairs]

    def seen_by(self, camera: Camera) -> Level:
        """The same volumes before one other camera, without a radiograph."""
        others = [None if r is None else r.seen_by(camera) for r in (self.renderer, self.soft, self.beyond)]
        return Level((), *others)
