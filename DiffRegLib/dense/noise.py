"""How residuals of unknown variance are distributed: by Student's law, so that what has no counterpart counts less.

With e the squared residual of a voxel, w its weight and t the degrees of freedom, the energy is, up to constants,

    sum w (log s^2 + (t + 1) log(1 + e / (t s^2))) / 2        and its weights are        (t + 1) / (t + e / s^2)

where the scale s^2 is the weighted mean of e by these same weights. K. L. Lange, R. J. A. Little, J. M. G. Taylor:
Robust statistical modeling using the t distribution, JASA 1989.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.dense.thresholds import THRESHOLDS


@dataclass(frozen=True)
class Noise:
    """weight: of each residual (D, H, W). scale: s^2. energy: of a mean voxel."""

    weight: Tensor
    scale: float
    energy: float

    @classmethod
    def of(cls, squared: Tensor, weight: Tensor, seen: float, least: float, freedom: float) -> Noise:
        """squared, weight: (D, H, W); seen: voxels over which e is averaged; least: scale not undercut; freedom: t."""
        t = freedom
        scale = max(float((weight * squared).sum()) / seen, least)
        for _ in range(THRESHOLDS.scale_steps):
            robust = weight * ((t + 1) / (t + squared / scale))
            scale = max(float((robust * squared).sum()) / seen, least)
        tails = (t + 1) * float((weight * torch.log1p(squared / (t * scale))).sum()) / seen
        return cls(weight * ((t + 1) / (t + squared / scale)), scale, 0.5 * (math.log(scale) + tails))
