"""The CT and its radiographs at every resolution, ready to be compared."""

from __future__ import annotations

import copy
import dataclasses
from functools import cached_property

import torch

from DiffRegLib.camera import Camera
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.gauss_newton import Problem
from DiffRegLib.methods.projective.level import BLOCK, Level
from DiffRegLib.methods.projective.match import Kind, Match
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.views import View
from DiffRegLib.radiographs.attenuation import WATER
from DiffRegLib.radiographs.continuation import Continuation, continued
from DiffRegLib.radiographs.projection import default_step
from DiffRegLib.radiographs.renderer import Renderer
from DiffRegLib.radiographs.resolution import COARSE, pixel_at, pooled


class Scene:
    """volume: attenuation a mm (1,D,H,W); views: of one C-arm, their cameras in one world."""

    def __init__(self, volume: Image, views: tuple[View, ...], options: PoseOptions) -> None:
        self.volume, self.views, self.options = volume, views, options
        self.center = volume.center.double().to(volume.device)
        self.widest = max(max(view.image.shape) for view in views)
        self._levels: dict[tuple[int, bool], Level] = {}

    @cached_property
    def continuation(self) -> Continuation:
        """The volume with the body going on beyond its cut faces, no finer than the finest level needs it."""
        return continued(pooled(self.volume, self._voxel(self.levels[-1])))

    def level(self, width: int, foreign: bool = False) -> Level:
        """What is needed to render and compare with detectors of at most `width` pixels, and voxels to match.

        foreign: the radiographs show more than this CT, so that the body goes on beyond its cut faces.
        """
        key = (width, foreign)
        if key not in self._levels:
            shown = self.continuation if foreign else Continuation.none(self.volume)
            self._levels[key] = self._made(width, shown, 2 if foreign and width < self.levels[-1] else 1)
        return self._levels[key]

    def seeing(self, views: tuple[View, ...]) -> Scene:
        """The same volume with other images of the same cameras; what was rendered from is shared."""
        other = copy.copy(self)
        other.views, other._levels = views, {}
        for (width, foreign), level in self._levels.items():
            other._levels[(width, foreign)] = level._replace(views=tuple(view.shrunk(width) for view in views))
        return other

    def placed(self, cameras: list[Camera]) -> Scene:
        """The same radiographs as other cameras took them."""
        views = tuple(dataclasses.replace(view, camera=camera) for view, camera in zip(self.views, cameras))
        other = Scene(self.volume, views, self.options)
        if "continuation" in self.__dict__:
            other.__dict__["continuation"] = self.continuation
        return other

    def _made(self, width: int, shown: Continuation, stride: int) -> Level:
        """stride: how many of the usual steps of a ray are one, which the many poses of a search need no finer."""
        views, widest = tuple(view.shrunk(width) for view in self.views), self._voxel(width)
        cameras = [view.camera for view in views]
        volume = pooled(shown.volume, widest)
        soft = pooled(
            Image(shown.volume.data.clamp(max=WATER * (1 + self.options.bone / 1000)), shown.volume.affine), widest
        )
        step = stride * default_step(volume.affine)
        beyond = None if shown.whole else Renderer(shown.beyond, [camera.resized(BLOCK) for camera in cameras])
        return Level(views, Renderer(volume, cameras, step), Renderer(soft, cameras, step), beyond)

    def _voxel(self, width: int) -> float:
        """How wide a voxel may be, mm, for detectors of at most `width` pixels."""
        cameras = [view.shrunk(width).camera for view in self.views]
        return COARSE * min(abs(pixel_at(camera, self.center)) for camera in cameras)

    def problem(
        self,
        width: int,
        kind: Kind,
        polarity: float | tuple[float, ...] = 1.0,
        pixels: float = 0.0,
        foreign: bool = False,
    ) -> Problem:
        """A comparison at one level, see `Match`.

        pixels: by default those of the options; foreign: the radiographs show more than line integrals of the CT.
        """
        level = self.level(width, foreign)
        matches = tuple(
            Match(view, kind, sign, pixels or self.fine(view), foreign, self.options.thin)
            for view, sign in zip(level.views, self.signs(polarity))
        )
        return Problem(level.renderer, level, matches, self.center)

    def signs(self, polarity: float | tuple[float, ...]) -> tuple[float, ...]:
        """The polarity of each view, where one may stand for all."""
        return polarity if isinstance(polarity, tuple) else (polarity,) * len(self.views)

    @property
    def wanted(self) -> tuple[float, ...] | None:
        """The polarities of the views that the options state, which speak of the files; None where they are open."""
        if self.options.polarity == "auto":
            return None
        stated = 1.0 if self.options.polarity == "positive" else -1.0
        return tuple(stated * view.sign for view in self.views)

    def fine(self, view: View) -> float:
        """Standard deviation in pixels of the smallest neighborhoods."""
        return max(1.0, self.options.window * max(view.image.shape))

    def magnification(self, view: int) -> float:
        """How many mm the shadow moves on the detector of a view when the volume moves by one."""
        camera = self.views[view].camera
        return min(map(abs, camera.spacing)) / abs(pixel_at(camera, self.center))

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
