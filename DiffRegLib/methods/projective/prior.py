"""Where a pose is to be expected: about the start, as far from it as the options of the search say.

A coarse image alone leads astray: 200 mm nearer to the source a CT fills more of the picture, with smoother shades, and
some of those correlate by chance. Hence each of the six numbers of a motion is taken to be normally distributed. That
lowers the evidence of a pose (see `crowd`), which is counted per pixel of the field, by its squared distance from the
start, in standard deviations, over twice the number of pixels that speak for themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.projective.motion import RADIUS, turns
from DiffRegLib.methods.projective.options import PoseOptions

PIXELS = 400.0  # that speak for themselves at the coarse level; on simulated X-rays 250 to 500 do about as well, 100
# loses right poses that are far from the start, and without a prior more searches walk off
SLOPE = 3.0  # of the cost of `crowd` for one of evidence: 2 dr for r / (1 - r^2) dr, at a correlation of a half


@dataclass(frozen=True)
class Prior:
    """start: (4,4); center: (3,) of the volume; axes: (3,3) of the first camera; deviation: (6,) of `motion`, mm."""

    start: Tensor
    center: Tensor
    axes: Tensor
    deviation: Tensor

    @classmethod
    def about(cls, start: Tensor, center: Tensor, axes: Tensor, options: PoseOptions, spread: float = 1.0) -> Prior:
        """As far as the options say, times `spread`."""
        turn = math.radians(options.search_rotation) * RADIUS
        deviation = start.new_tensor([turn] * 3 + [options.search_translation] * 3).clamp(min=1e-3) * spread
        return cls(start, center, axes, deviation)

    def unlikely(self, poses: Tensor) -> Tensor:
        """(B,): by how much the evidence of poses (B,4,4) is lowered."""
        return (self._away(poses) ** 2).sum(1) / (2 * PIXELS)

    def normal(self, poses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What it adds to cost (B,), gradient (B,6) and curvature (6,6) of a crowd."""
        away, weight = self._away(poses), SLOPE / (2 * PIXELS)
        return weight * (away**2).sum(1), -weight * away / self.deviation, torch.diag(weight / self.deviation**2)

    def _away(self, poses: Tensor) -> Tensor:
        """(B,6): turns and shifts from the start in standard deviations."""
        about = RADIUS * turns(poses[:, :3, :3] @ self.start[:3, :3].T)
        change = poses - self.start
        shift = change[:, :3, :3] @ self.center + change[:, :3, 3]
        return torch.cat([about @ self.axes, shift @ self.axes], 1) / self.deviation
