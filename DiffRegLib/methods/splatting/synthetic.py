"""Pairs of clouds whose motion is known: random vessel trees, or given clouds, under random smooth motion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from DiffRegLib.dense.random_motion import flowed
from DiffRegLib.methods.splatting.initialize import initial_affine
from DiffRegLib.methods.splatting.network_options import SplattingTrainingOptions
from DiffRegLib.phantom.anatomy import Anatomy
from DiffRegLib.points import PointCloud
from DiffRegLib.points.sampling import farthest_points
from DiffRegLib.transforms.se3 import rotation_exp

PITCH = 2.0  # mm between the points along a vessel


@dataclass(frozen=True)
class TrainingPair:
    """Two clouds after matching their moments, and what is known of the motion: two sets of corresponding points each.

    there: points (N, 3) that go with the fixed cloud, and where they belong; back: the same of the moving cloud. RAS
    mm. Where nothing is known, there are none.
    """

    fixed: PointCloud
    moving: PointCloud
    there: tuple[Tensor, Tensor] | None = None
    back: tuple[Tensor, Tensor] | None = None

    @classmethod
    def marked(cls, fixed: PointCloud, moving: PointCloud, marks: tuple[Tensor, Tensor]) -> TrainingPair:
        """With landmarks (N, 3) of both sides."""
        return cls(fixed, moving, marks, (marks[1], marks[0]))


class MovedClouds:
    """Pairs out of one cloud each.

    clouds: what is moved, beside the random vessel trees of the options.
    """

    def __init__(self, clouds: Sequence[PointCloud], options: SplattingTrainingOptions) -> None:
        self.clouds, self.options = clouds, options

    def __len__(self) -> int:
        return len(self.clouds) + self.options.trees

    def pair(self, draws: torch.Generator) -> TrainingPair:
        """A pair that the random numbers decide; half of the time the other way round."""
        cloud = self._cloud(draws)
        moved = cloud.at(self._moved(cloud.points, draws))
        first, second = (self._kept(len(cloud), draws) for _ in range(2))
        rest, gone = cloud.points, moved.points
        if torch.rand((), generator=draws) < 0.5:
            rest, gone = gone, rest
        sides = [cloud.at(points).select(kept) for points, kept in ((rest, first), (gone, second))]
        fixed, moving = (side.at(side.points + self._noise(side.points, draws)) for side in sides)
        start = initial_affine(fixed, moving, "moments", None)
        there = gone[first] + (fixed.points - rest[first])  # the noise is no motion
        back = start(rest[second] + (moving.points - gone[second]))
        fixed = fixed.at(start(fixed.points))
        return TrainingPair(fixed, moving, (fixed.points, there), (moving.points, back))

    def _cloud(self, draws: torch.Generator) -> PointCloud:
        number = int(torch.randint(len(self), (), generator=draws)) - self.options.trees
        cloud = self.clouds[number] if number >= 0 else vessel_tree(-number)
        seed = int(torch.randint(2**31, (), generator=draws))
        return cloud.select(farthest_points(cloud.points, self.options.moved_points, seed))

    def _kept(self, count: int, draws: torch.Generator) -> Tensor:
        share = self.options.shared + (1 - self.options.shared) * float(torch.rand((), generator=draws))
        return torch.randperm(count, generator=draws)[: max(10, int(share * count))]

    def _noise(self, points: Tensor, draws: torch.Generator) -> Tensor:
        return self.options.jitter * torch.randn(points.shape, generator=draws)

    def _moved(self, points: Tensor, draws: torch.Generator) -> Tensor:
        o, center = self.options, points.mean(0)
        turn = rotation_exp(math.radians(o.turn) * torch.randn(3, generator=draws))
        stretch = (o.stretch * torch.randn(3, generator=draws)).exp()
        return (flowed(points, o.motion, o.smoothness, draws) - center) * stretch @ turn.T + center


@lru_cache(maxsize=256)
def vessel_tree(seed: int) -> PointCloud:
    """Points on the vessels of the phantom's lungs, grown anew for each seed."""
    samples = [tubes.samples(PITCH, 0.5)[0] for tubes in Anatomy.grown(seed).vessels]
    return PointCloud.plain(torch.cat(samples).float())
