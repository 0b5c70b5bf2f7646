"""Planes through a patient as a radiologist looks at them: right is left, head is up, the nose points up or left."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

PIXELS = 320
"""Samples along the longer side of a plane, at most."""


@dataclasses.dataclass(frozen=True)
class View:
    """A plane across patient axis `normal`; `across` and `up` are the axes on paper (0 R, 1 A, 2 S).

    `across` runs against the paper: the greater coordinate is on the left. `letters`: left, right, bottom, top.
    """

    name: str
    normal: int
    across: int
    up: int
    letters: tuple[str, str, str, str]

    def cut_name(self, cut: float) -> str:
        return f"{self.name}, {'xyz'[self.normal]} = {cut:.0f} mm".replace("-", "\N{MINUS SIGN}")


AXIAL = View("axial", 2, 0, 1, ("R", "L", "P", "A"))
CORONAL = View("coronal", 1, 0, 2, ("R", "L", "I", "S"))
SAGITTAL = View("sagittal", 0, 1, 2, ("A", "P", "I", "S"))
VIEWS = (AXIAL, CORONAL, SAGITTAL)


@dataclasses.dataclass(frozen=True, eq=False)
class Box:
    """What is shown: corners `low` and `high` (3,) and the position of the three cuts (3,), all RAS mm."""

    low: Tensor
    high: Tensor
    cuts: Tensor

    @property
    def size(self) -> Tensor:
        return self.high - self.low

    def extent(self, view: View) -> tuple[float, float, float, float]:
        """Coordinates in mm of the left, right, bottom and top edge of a view."""
        a, u = view.across, view.up
        return float(self.high[a]), float(self.low[a]), float(self.low[u]), float(self.high[u])

    def plane(self, view: View, pixels: int = PIXELS) -> Tensor:
        """(rows, columns, 3) float32 RAS mm of square pixels; row 0 is at the bottom, column 0 on the left."""
        left, right, bottom, top = self.extent(view)
        pitch = max(left - right, top - bottom) / pixels
        columns, rows = (max(2, round(side / pitch)) for side in (left - right, top - bottom))
        across = left + (torch.arange(columns) + 0.5) * (right - left) / columns
        up = bottom + (torch.arange(rows) + 0.5) * (top - bottom) / rows
        points = torch.empty(rows, columns, 3)
        points[..., view.across] = across
        points[..., view.up] = up[:, None]
        points[..., view.normal] = float(self.cuts[view.normal])
        return points

    def slab(self, view: View, thickness: float) -> Box:
        """The same box, only as thick as given (mm) about the cut of a view."""
        low, high = self.low.clone(), self.high.clone()
        low[view.normal] = self.cuts[view.normal] - thickness / 2
        high[view.normal] = self.cuts[view.normal] + thickness / 2
        return Box(low, high, self.cuts)

    def holds(self, points: Tensor) -> Tensor:
        """(N,) bool"""
        low, high = self.low.to(points), self.high.to(points)
        return ((points >= low) & (points <= high)).all(-1)


def box_with_best_cuts(low: Tensor, high: Tensor, points: Tensor, weights: Tensor) -> Box:
    """A box whose cuts pass where the weight of points (N, 3) is greatest, the middle of the box preferred.

    Along each axis the weight is collected in 48 slices, smoothed over a tenth of the axis and weighed by a parabola.
    """
    low, high = low.double().cpu(), high.double().cpu()
    cuts = (low + high) / 2
    weights = weights.double().cpu()
    for axis in range(3):
        fraction = (points[:, axis].double().cpu() - low[axis]) / (high[axis] - low[axis])
        index = (fraction * 48).long().clamp(0, 47)
        profile = torch.zeros(48, dtype=torch.float64).index_add_(0, index, weights)
        smooth = torch.nn.functional.avg_pool1d(profile[None, None], 5, 1, 2)[0, 0]
        place = (torch.arange(48) + 0.5) / 48
        preferred = smooth * place * (1 - place)
        if float(preferred.max()) > 0:
            cuts[axis] = low[axis] + place[preferred.argmax()] * (high[axis] - low[axis])
    return Box(low, high, cuts)
