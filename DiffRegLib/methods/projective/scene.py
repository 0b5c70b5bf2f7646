"""The CT and its radiographs at every resolution, ready to be compared."""

from __future__ import annotations

from typing import NamedTuple

import torch

from DiffRegLib.image import Image
from DiffRegLib.methods.projective.gauss_newton import Problem
from DiffRegLib.methods.projective.match import Kind, Match
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.views import View
from DiffRegLib.radiographs.attenuation import WATER
from DiffRegLib.radiographs.projection import default_step
from DiffRegLib.radiographs.renderer import Renderer
from DiffRegLib.radiographs.resolution import COARSE, pixel_at, pooled

FINER = 2.0  # times the default step's samples; fine structure shows the samples as ripples along the depth


class Level(NamedTuple):
    """Radiographs of one size with renderers of the volume, of the same with a finer step, and of its soft tissue."""

    views: tuple[View, ...]
    renderer: Renderer
    exact: Renderer
    soft: Renderer


class Scene:
    """volume: attenuation a mm (1,D,H,W); views: of one C-arm, their cameras in one world."""

    def __init__(self, volume: Image, views: tuple[View, ...], options: PoseOptions) -> None:
        self.volume, self.views, self.options = volume, views, options
        self.center = volume.center.double().to(volume.device)
        self.widest = max(max(view.image.shape) for view in views)
        self._soft = Image(volume.data.clamp(max=WATER * (1 + options.bone / 1000)), volume.affine)
        self._levels: dict[int, Level] = {}

    def level(self, width: int) -> Level:
        """What is needed to render and compare with detectors of at most `width` pixels, and voxels to match."""
        if width not in self._levels:
            views = tuple(view.shrunk(width) for view in self.views)
            cameras = [view.camera for view in views]
            widest = COARSE * min(abs(pixel_at(camera, self.center)) for camera in cameras)
            volume, soft = pooled(self.volume, widest), pooled(self._soft, widest)
            fine = default_step(volume.affine) / FINER
            self._levels[width] = Level(
                views, Renderer(volume, cameras), Renderer(volume, cameras, fine), Renderer(soft, cameras)
            )
        return self._levels[width]

    def problem(
        self,
        width: int,
        kind: Kind,
        polarity: float | tuple[float, ...] = 1.0,
        pixels: float = 0.0,
        thin: float = 0.0,
        ranks: bool | None = None,
    ) -> Problem:
        """A comparison at one level, see `Match`.

        pixels: by default those of the options; ranks: by default where the radiographs do not show line integrals.
        """
        ranks = thin > 0 if ranks is None else ranks
        level = self.level(width)
        matches = tuple(
            Match(view, kind, sign, pixels or self.fine(view), self.options.outlier, thin, ranks)
            for view, sign in zip(level.views, self.signs(polarity))
        )
        exact = kind == "local-ncc" and width == self.levels[-1] and not pixels
        return Problem(level.exact if exact else level.renderer, level.soft, matches, self.center)

    def signs(self, polarity: float | tuple[float, ...]) -> tuple[float, ...]:
        """The polarity of each view, where one may stand for all."""
        return polarity if isinstance(polarity, tuple) else (polarity,) * len(self.views)

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
