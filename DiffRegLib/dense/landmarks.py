"""Corresponding points as a term of the energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.dense.normal import ENTRIES, Normal
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.geometry import Lattice
from DiffRegLib.ops import splat

NEARBY = 0.5
"""mm; the differences that a Jacobian is taken from."""


@dataclass(frozen=True)
class Landmarks:
    """Row i of `fixed` belongs to row i of `moving`, (N, 3) RAS mm.

    weight: 1 for landmarks whose placing has a standard deviation of 1 mm, else one over its square; of all, or (N,).
    """

    fixed: Tensor
    moving: Tensor
    weight: float | Tensor

    def pull(self, carried: Callable[[Tensor], Tensor], lattice: Lattice) -> tuple[float, Normal]:
        """Energy and normal equations on a grid, where `carried` maps fixed points to the moving frame."""
        offsets = NEARBY * torch.cat((torch.eye(3), -torch.eye(3))).to(self.fixed)
        around = carried((self.fixed[:, None] + offsets).reshape(-1, 3)).reshape(-1, 2, 3, 3)
        jacobian = ((around[:, 0] - around[:, 1]) / (2 * NEARBY)).transpose(1, 2)
        apart = self.moving - carried(self.fixed)
        weight = THRESHOLDS.landmark_volume * torch.as_tensor(self.weight).to(apart).expand(len(apart))
        vector = (jacobian.transpose(1, 2) @ apart[..., None])[..., 0]
        matrix = jacobian.transpose(1, 2) @ jacobian
        values = torch.stack([*(matrix[:, a, b] for a, b in ENTRIES), *vector.T]) * weight
        spread = splat(lattice.normalize(self.fixed)[None], values[None], lattice.shape)[0]
        return 0.5 * float((weight * (apart**2).sum(1)).sum()), Normal(spread[:6], spread[6:])
