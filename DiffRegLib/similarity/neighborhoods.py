"""Volumes free of local brightness and contrast, and how they correlate in neighborhoods (LNCC).

A neighborhood is Gaussian. With m the mean and v the variance in it, weighted by what is to be compared,

    n(x) = (a(x) - m_a(x)) / sqrt(v_a(x) + f^2)        lncc(x) = cov_ab(x) / sqrt((v_a(x) + f^2) (v_b(x) + f^2))

where the floor f keeps flat neighborhoods from being blown up into noise.
P. Cachier et al., Iconic feature based nonrigid registration: the PASHA algorithm, CVIU 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.ops.axes import filter_axes, gaussian

if TYPE_CHECKING:
    from jaxtyping import Float

EMPTY = 1e-3
"""Share of a neighborhood inside the weights below which nothing is known of it."""


class Neighborhoods:
    """Gaussian neighborhoods around the voxels of a volume, of which `weight` counts.

    weight: (D, H, W) of 0 to 1, or None for all. sigma: standard deviations in voxels along D, H, W. floor: the
    standard deviation, in the volume's unit, below which a neighborhood is flat.
    """

    def __init__(self, like: Tensor, sigma: Sequence[float], floor: float = 0.0, weight: Tensor | None = None) -> None:
        self.floor = floor
        self._blur = [gaussian(n, float(s), like) for n, s in zip(like.shape[-3:], sigma, strict=True)]
        self._weight = weight
        self._mass = None if weight is None else filter_axes(weight, self._blur).clamp(min=EMPTY)

    def mean(self, volume: Tensor) -> Tensor:
        """(..., D, H, W): the weighted mean in each neighborhood."""
        if self._weight is None or self._mass is None:
            return filter_axes(volume, self._blur)
        return filter_axes(volume * self._weight, self._blur) / self._mass

    def normalized(self, volume: Tensor) -> Tensor:
        """(..., D, H, W): n of above."""
        detail = volume - self.mean(volume)
        return detail / self._deviation(self.mean(detail**2))

    def correlation(self, first: Tensor, second: Tensor) -> Tensor:
        """(..., D, H, W): lncc of above, -1 to 1."""
        mean = [self.mean(volume) for volume in (first, second)]
        variance = [self.mean(v**2) - m**2 for v, m in zip((first, second), mean)]
        covariance = self.mean(first * second) - mean[0] * mean[1]
        return covariance / (self._deviation(variance[0]) * self._deviation(variance[1]))

    def _deviation(self, variance: Tensor) -> Tensor:
        return (variance.clamp(min=0) + self.floor**2 + torch.finfo(variance.dtype).tiny).sqrt()


def lncc(
    first: Float[Tensor, "*batch D H W"],
    second: Float[Tensor, "*batch D H W"],
    sigma: Sequence[float],
    floor: float = 0.0,
    weight: Float[Tensor, "D H W"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Mean local correlation of two volumes (..., D, H, W), one number a volume, -1 to 1; differentiable.

    sigma: of the neighborhoods, in voxels along D, H, W. floor: see `Neighborhoods`. weight: (D, H, W).
    """
    local = Neighborhoods(first, sigma, floor, weight).correlation(first, second)
    if weight is None:
        return local.mean((-3, -2, -1))
    return (local * weight).sum((-3, -2, -1)) / weight.sum().clamp(min=EMPTY)
