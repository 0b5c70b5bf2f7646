"""PointCloud: points in RAS mm, each with a weight and the channel of its label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FEWEST_POINTS = 10
SMALLEST_EXTENT = 1.0  # mm; a body measured in meters stays below it
LARGEST_COORDINATE = 1e5  # mm


@dataclass(frozen=True)
class PointCloud:
    """Points that carry a density, several channels for several labels.

    points: (N, 3) float32, RAS mm. weights: (N,) float32, what each point stands for (1, or the surface area in mm^2
    that it represents, divided by the mean of its channel). channels: (N,) int64 in [0, len(labels)).
    labels: the label value of each channel; a cloud without labels has the one channel (1,).
    """

    points: Tensor
    weights: Tensor
    channels: Tensor
    labels: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        n = len(self.points)
        if tuple(self.points.shape) != (n, 3):
            raise RegistrationError(f"A cloud has the shape {tuple(self.points.shape)}: give (N, 3) points in RAS mm.")
        if tuple(self.weights.shape) != (n,) or tuple(self.channels.shape) != (n,):
            raise RegistrationError(f"A cloud of {n} points needs one weight and one channel for each of them.")

    @classmethod
    def plain(cls, points: ArrayLike, weights: ArrayLike | None = None) -> PointCloud:
        """A cloud of one channel; `points` (N, 3) tensor or array in RAS mm, `weights` (N,) or 1."""
        points = torch.as_tensor(points).to(torch.float32)
        if weights is None:
            weights = torch.ones(len(points), device=points.device)
        weights = torch.as_tensor(weights, device=points.device).to(torch.float32)
        return cls(points, weights, torch.zeros(len(points), dtype=torch.int64, device=points.device))

    @classmethod
    def labeled(cls, points: ArrayLike, values: ArrayLike, weights: ArrayLike | None = None) -> PointCloud:
        """A cloud with one channel for each distinct label; `values` (N,) integers."""
        plain = cls.plain(points, weights)
        values = torch.as_tensor(values, device=plain.points.device).to(torch.int64)
        labels, channels = torch.unique(values, return_inverse=True)
        return cls(plain.points, plain.weights, channels, tuple(labels.tolist()))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def values(self) -> Tensor:
        """(N,) int64: the label of each point."""
        return torch.tensor(self.labels, dtype=torch.int64, device=self.points.device)[self.channels]

    def to(self, device: torch.device | str) -> PointCloud:
        return replace(
            self, points=self.points.to(device), weights=self.weights.to(device), channels=self.channels.to(device)
        )

    def at(self, points: Tensor) -> PointCloud:
        """The same weights and channels at other points (N, 3), for instance warped ones."""
        return replace(self, points=points)

    def select(self, index: Tensor) -> PointCloud:
        """The points of a mask or of indices; every channel is kept, even if it becomes empty."""
        return replace(self, points=self.points[index], weights=self.weights[index], channels=self.channels[index])

    def with_labels(self, labels: tuple[int, ...]) -> PointCloud:
        """The points of these labels alone, channels in this order: what two clouds need to be compared."""
        channel_of = {label: channel for channel, label in enumerate(labels)}
        table = torch.tensor([channel_of.get(label, -1) for label in self.labels], device=self.points.device)
        channels = table[self.channels]
        kept = self.select(channels >= 0)
        return replace(kept, channels=channels[channels >= 0], labels=tuple(labels))

    def check(self, name: str = "the cloud") -> PointCloud:
        """Returns the cloud, or raises `RegistrationError` that says what is wrong with `name` and what to do."""
        if len(self) < FEWEST_POINTS:
            raise RegistrationError(f"{name} has {len(self)} points: a registration needs at least {FEWEST_POINTS}.")
        broken = int((~torch.isfinite(self.points).all(dim=1)).sum())
        if broken:
            raise RegistrationError(f"{name} has NaN or infinite coordinates in {broken} of its points: remove them.")
        if not torch.isfinite(self.weights).all() or (self.weights < 0).any() or not (self.weights > 0).any():
            raise RegistrationError(f"{name} has weights that are NaN, infinite or not positive: correct them.")
        _check_units(self.points, name)
        return self


def _check_units(points: Tensor, name: str) -> None:
    extent = points.amax(dim=0) - points.amin(dim=0)
    largest = float(extent.max())
    if largest < SMALLEST_EXTENT:
        raise RegistrationError(
            f"{name} is only {largest:.3g} mm wide, so it seems to be in meters: convert it to RAS millimeters."
        )
    if float(points.abs().max()) > LARGEST_COORDINATE:
        raise RegistrationError(
            f"{name} has coordinates up to {float(points.abs().max()):.3g} mm, more than a patient has: "
            "convert its coordinates to RAS millimeters."
        )
    if bool((points == points.round()).all()) and float(points.amin()) >= 0:
        raise RegistrationError(
            f"{name} has only whole numbers from 0 upwards, so it seems to be in voxel indices: "
            "convert them to RAS millimeters with the affine of its image."
        )
