"""Breathing as an exact diffeomorphism: three one-dimensional squeezes in a row, each with an exact inverse."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms import Transform

DIAPHRAGM_PER_LUNG = 2.12
"""Greatest cranio-caudal motion over the mean motion of the lung landmarks, found numerically for this anatomy."""


@dataclasses.dataclass(frozen=True)
class Plateau:
    """A smooth step up at `low` and down at `high` (mm): the product of two logistic functions."""

    low: float
    rise: float
    high: float
    fall: float

    def __call__(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The value and its derivative per mm."""
        up = torch.sigmoid((u - self.low) / self.rise)
        down = torch.sigmoid((self.high - u) / self.fall)
        value = up * down
        return value, value * ((1 - up) / self.rise - (1 - down) / self.fall)

    def value(self, u: Tensor) -> Tensor:
        return self(u)[0]

    def steepest(self) -> float:
        """An upper bound of the absolute derivative per mm."""
        return 0.25 / min(self.rise, self.fall)


@dataclasses.dataclass(frozen=True)
class Squeeze:
    """p_axis -> p_axis + window(p) * profile(p_axis), where the window depends on the two other coordinates only.

    Therefore the map is a monotone function along its axis: its Jacobian determinant is 1 + window * profile', its
    inverse is a root in one dimension.
    """

    axis: int
    profile: Callable[[Tensor], tuple[Tensor, Tensor]]
    window: Callable[[Tensor], Tensor]

    def __call__(self, points: Tensor) -> Tensor:
        value, _ = self.profile(points[..., self.axis])
        return self._moved(points, self.window(points) * value)

    def determinant(self, points: Tensor) -> Tensor:
        _, slope = self.profile(points[..., self.axis])
        return 1 + self.window(points) * slope

    def inverse(self, points: Tensor) -> Tensor:
        """Newton's iteration to machine precision; its last step carries the gradient to the points."""
        window, target = self.window(points), points[..., self.axis]
        with torch.no_grad():
            tolerance = 16 * torch.finfo(points.dtype).eps * 100  # coordinates are of the order of 100 mm
            root = target.clone()
            for _ in range(50):
                step = self._newton_step(root, target, window)
                root = root - step
                if step.numel() == 0 or step.abs().max() < tolerance:
                    break
        root = root - self._newton_step(root, target, window)
        return self._moved(points, root - target)

    def _newton_step(self, root: Tensor, target: Tensor, window: Tensor) -> Tensor:
        value, slope = self.profile(root)
        return (root + window * value - target) / (1 + window * slope)

    def _moved(self, points: Tensor, shift: Tensor) -> Tensor:
        coordinates = list(points.unbind(-1))
        coordinates[self.axis] = coordinates[self.axis] + shift
        return torch.stack(coordinates, -1)


class BreathingMotion(Transform):
    """Where the tissue at a point (RAS mm) of full inspiration lies in expiration; exact both ways.

    The diaphragm rises, the right dome more than the left, and the apex hardly; the sternum falls back; the flanks come
    in; the spine stays. `amplitude` is the mean motion of the lung landmarks in mm, to within a few per cent.
    Raises `RegistrationError` for an amplitude that would fold the tissue (above `BreathingMotion.LIMIT` mm).
    """

    LIMIT = 25.0

    def __init__(self, amplitude: float = 15.0, reverse: bool = False) -> None:
        if not 0 <= amplitude <= self.LIMIT:
            raise RegistrationError(
                f"A breathing amplitude of {amplitude} mm is impossible or folds the tissue: give 0 to {self.LIMIT} mm."
            )
        self.amplitude, self.reverse = float(amplitude), bool(reverse)
        self._squeezes = _squeezes(self.amplitude)

    def __call__(self, points: Tensor) -> Tensor:
        steps = [s.inverse for s in reversed(self._squeezes)] if self.reverse else self._squeezes
        for step in steps:
            points = step(points)
        return points

    def inverse(self, geometry: Geometry | None = None) -> BreathingMotion:
        """The exact inverse; no grid is needed."""
        return BreathingMotion(self.amplitude, not self.reverse)

    def jacobian_determinant(self, geometry: Geometry | Image, device: torch.device | str = "cpu") -> Image:
        """(1, D, H, W) exact at the voxel centers."""
        with torch.no_grad():
            return Image(self.determinant(geometry.grid(device))[None], geometry.affine)

    def determinant(self, points: Tensor) -> Tensor:
        """(..., 3) RAS mm -> (...,) the exact Jacobian determinant there."""
        if self.reverse:
            return 1 / self.inverse().determinant(self(points))
        result = torch.ones_like(points[..., 0])
        for squeeze in self._squeezes:
            result = result * squeeze.determinant(points)
            points = squeeze(points)
        return result


def _squeezes(amplitude: float) -> list[Squeeze]:
    rise = DIAPHRAGM_PER_LUNG * amplitude
    return [
        Squeeze(2, Plateau(-185, 22, 15, 42), functools.partial(_diaphragm, rise=rise)),
        Squeeze(1, Plateau(5, 26, 165, 18), functools.partial(_sternum, fall=0.7 * amplitude)),
        Squeeze(0, _flanks, functools.partial(_side, narrowing=0.35 * amplitude)),
    ]


def _diaphragm(points: Tensor, rise: float) -> Tensor:
    x, y = points[..., 0], points[..., 1]
    trunk = torch.sigmoid((1 - (x / 150) ** 2 - (y / 102) ** 2) / 0.14)
    spine = 1 - torch.exp(-((x / 34) ** 2 + ((y + 78) / 34) ** 2) / 2)
    return rise * trunk * spine * (1 + 0.12 * torch.tanh(x / 40))


def _sternum(points: Tensor, fall: float) -> Tensor:
    across, along = Plateau(-115, 18, 115, 18), Plateau(-150, 25, 140, 30)
    return -fall * across.value(points[..., 0]) * along.value(points[..., 2])


def _flanks(x: Tensor) -> tuple[Tensor, Tensor]:
    right, right_slope = Plateau(75, 20, 215, 15)(x)
    left, left_slope = Plateau(-215, 15, -75, 20)(x)
    return left - right, left_slope - right_slope


def _side(points: Tensor, narrowing: float) -> Tensor:
    return narrowing * Plateau(-85, 20, 85, 20).value(points[..., 1]) * Plateau(-150, 25, 110, 30).value(points[..., 2])
