"""Analytic solids: functions that are negative inside and near the surface equal the signed distance in mm."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import torch
from torch import Tensor

CHUNK = 10_000
"""Points evaluated at a time: they stay in the processor's cache."""


@dataclasses.dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with its `center` (RAS mm), half axes `radii` (mm) and a `tilt` in degrees about the A axis.

    A positive tilt leans the upper end towards the patient's right (+x).
    """

    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    tilt: float = 0.0

    @property
    def volume(self) -> float:
        """4/3 pi a b c in mm^3."""
        return 4 / 3 * math.pi * math.prod(self.radii)

    def __call__(self, points: Tensor) -> Tensor:
        """(..., 3) RAS mm -> (...,) mm, exact to first order in the distance from the surface."""
        return _implicit(self.to_local(points), self.radii)

    @property
    def box(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Corners in RAS mm of the axis-aligned box around it."""
        c, s = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
        a, b, d = self.radii
        half = (math.hypot(c * a, s * d), b, math.hypot(s * a, c * d))
        corners = [tuple(m + sign * h for m, h in zip(self.center, half, strict=True)) for sign in (-1, 1)]
        return corners[0], corners[1]

    def to_local(self, points: Tensor) -> Tensor:
        """(..., 3) RAS mm -> coordinates along the half axes, mm from the center."""
        offset = points - points.new_tensor(self.center)
        if not self.tilt:
            return offset
        x, y, z = offset.unbind(-1)
        c, s = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
        return torch.stack((c * x - s * z, y, s * x + c * z), -1)

    def extended_below(self, points: Tensor) -> Tensor:
        """The ellipsoid's upper half standing on an endless cylinder: a dome."""
        low = points.new_tensor(self.center)[2]
        raised = torch.cat((points[..., :2], points[..., 2:].clamp(min=float(low))), -1)
        return self(raised)


@dataclasses.dataclass(frozen=True)
class EllipticCylinder:
    """An endless cylinder along the S axis through `center` (x, y) with half axes `radii` (mm)."""

    center: tuple[float, float]
    radii: tuple[float, float]

    def __call__(self, points: Tensor) -> Tensor:
        return _implicit(points[..., :2] - points.new_tensor(self.center), self.radii)


def _implicit(offset: Tensor, radii: tuple[float, ...]) -> Tensor:
    """|q| (|q| - 1) / |grad q| with q = offset / radii: the distance to first order, smooth away from the center."""
    squares = [c * c for c in offset.unbind(-1)]
    none = offset.new_zeros(())
    length = sum((s * r**-2 for s, r in zip(squares, radii, strict=True)), none).clamp(min=1e-12).sqrt()
    slope = sum((s * r**-4 for s, r in zip(squares, radii, strict=True)), none).clamp(min=1e-12).sqrt()
    return length * (length - 1) / slope


@dataclasses.dataclass(frozen=True)
class Tubes:
    """Many straight tubes with constant radii: `starts`, `ends` (N, 3) RAS mm, `radii` (N,) mm, all float64."""

    starts: Tensor
    ends: Tensor
    radii: Tensor

    def __len__(self) -> int:
        return len(self.radii)

    @classmethod
    def along(cls, path: Tensor, radius: float) -> Tubes:
        """A tube of one radius along a polyline (N, 3)."""
        return cls(path[:-1], path[1:], torch.full((len(path) - 1,), radius, dtype=torch.float64))

    @classmethod
    def joined(cls, parts: list[Tubes]) -> Tubes:
        return cls(*(torch.cat([getattr(p, name) for p in parts]) for name in ("starts", "ends", "radii")))

    def distance(self, points: Tensor, reach: float) -> Tensor:
        """(N, 3) RAS mm -> (N,) mm to the nearest surface, negative inside; `reach` where it is further than that.

        The tubes are found through spheres that fill them; a fourth coordinate turns the tree's distance into the power
        distance |x - c|^2 - r^2, so that a thick vessel is found through its thin branches.
        """
        tree, owners, largest = self._tree
        query = torch.nn.functional.pad(points, (0, 1)).numpy()
        _, index = tree.query(query, k=[1, 2], distance_upper_bound=largest + reach + 1)
        result = torch.full((len(points),), reach, dtype=points.dtype)
        for column in torch.as_tensor(index).unbind(1):
            hit = (column < len(owners)).nonzero()[:, 0]
            result[hit] = torch.minimum(result[hit], self._distance_to(points[hit], owners[column[hit]]))
        return result

    @property
    def box(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Corners in RAS mm of an axis-aligned box around all tubes."""
        ends, largest = torch.cat((self.starts, self.ends)), float(self.radii.max())
        return tuple((ends.amin(0) - largest).tolist()), tuple((ends.amax(0) + largest).tolist())

    @functools.cached_property
    def _tree(self) -> tuple[Any, Tensor, float]:
        from scipy.spatial import cKDTree

        centers, radii, owners = self.samples(pitch=1.0, phase=0.5)
        largest = float(radii.max())
        lifted = torch.cat((centers, (largest**2 - radii**2).clamp(min=0).sqrt()[:, None]), 1)
        return cKDTree(lifted.numpy()), owners, largest

    def _distance_to(self, points: Tensor, owner: Tensor) -> Tensor:
        start, end, radius = (t.to(points)[owner] for t in (self.starts, self.ends, self.radii))
        along = end - start
        fraction = ((points - start) * along).sum(-1) / (along * along).sum(-1).clamp(min=1e-12)
        return (points - start - fraction.clamp(0, 1)[:, None] * along).norm(dim=-1) - radius

    def samples(self, pitch: float, phase: float) -> tuple[Tensor, Tensor, Tensor]:
        """Points on the center lines at most `pitch` mm apart: (M, 3) RAS mm, their radii (M,) mm, their tubes (M,).

        `phase` in [0, 1) shifts the points along their tube: two clouds with other phases share no point.
        """
        lengths = (self.ends - self.starts).norm(dim=-1)
        counts = torch.ceil(lengths / pitch).long().clamp(min=1)
        owners = torch.repeat_interleave(torch.arange(len(self)), counts)
        first = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        fraction = (torch.arange(len(owners)) - first + phase) / counts[owners]
        centers = self.starts[owners] + fraction[:, None] * (self.ends - self.starts)[owners]
        return centers, self.radii[owners], owners


def soft_maximum(a: Tensor, b: Tensor, width: float) -> Tensor:
    """max(a, b) with the edge rounded over `width` mm: the intersection of two solids without a sharp rim."""
    gap = (1 - (a - b).abs() / width).clamp(min=0)
    return torch.maximum(a, b) + gap * gap * (width / 4)
