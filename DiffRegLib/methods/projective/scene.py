"""The CT and its radiographs at every resolution, ready to be compared."""

from __future__ import annotations

import torch

from DiffRegLib.image import Image
from DiffRegLib.methods.projective.gauss_newton import Problem
from DiffRegLib.methods.projective.match import Kind, Match
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.renderer import Renderer
from DiffRegLib.methods.projective.views import COARSE, View, pixel_at, pooled


class Scene:
    """volume: attenuation a mm (1,D,H,W); views: of one C-arm, their cameras in one world."""

    def __init__(self, volume: Image, views: tuple[View, ...], options: PoseOptions) -> None:
        self.volume, self.views, self.options = volume, views, options
        self.center = volume.center.double().to(volume.device)
        self.widest = max(max(view.image.shape) for view in views)
        self._levels: dict[int, tuple[Renderer, tuple[View, ...]]] = {}

    def level(self, width: int) -> tuple[Renderer, tuple[View, ...]]:
        """Renderer and radiographs with detectors of at most `width` pixels and voxels to match."""
        if width not in self._levels:
            views = tuple(view.shrunk(width) for view in self.views)
            pixel = min(pixel_at(view.camera, self.center) for view in views)
            volume = pooled(self.volume, COARSE * abs(pixel))
            self._levels[width] = (Renderer(volume, [view.camera for view in views]), views)
        return self._levels[width]

    def problem(self, width: int, kind: Kind, polarity: float = 1.0, pixels: float = 0.0, thin: float = 0.0) -> Problem:
        """A comparison at one level. pixels: standard deviation of a neighborhood, by default that of the options."""
        renderer, views = self.level(width)
        matches = tuple(
            Match(view, kind, polarity, pixels or self.fine(view), self.options.outlier, thin) for view in views
        )
        return Problem(renderer, matches, self.center)

    def fine(self, view: View) -> float:
        """Standard deviation in pixels of the smallest neighborhoods."""
        return max(1.0, self.options.window * max(view.image.shape))

    @property
    def levels(self) -> tuple[int, ...]:
        """Widths after the search; none is finer than the radiographs."""
        return tuple(dict.fromkeys(min(width, self.widest) for width in self.options.levels))

    @property
    def search_level(self) -> int:
        return min(self.options.search_level, self.widest)

    @property
    def half_extent(self) -> float:
        """Half the mean edge of the volume, mm."""
        shape = torch.tensor(self.volume.shape[::-1])
        return float((self.volume.spacing.double().cpu() * shape).mean() / 2)
