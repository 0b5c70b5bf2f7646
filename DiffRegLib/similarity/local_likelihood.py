"""How likely an image is, given another, where brightness, contrast and noise of each neighborhood are unknown.

Where values are related linearly and noise is Gaussian, the most likely relation and noise leave -n/2 log(1 - r^2) for
n pixels that correlate by r (A. Roche, G. Malandain, N. Ayache, Unifying maximum likelihood approaches in medical image
registration, Int. J. Imaging Systems and Technology 11, 2000). Here every neighborhood has a relation and noise of its
own. A sum of squared differences of normalized images is another thing: where noise or tissue that has moved lowers
the correlation, it gets smaller as the image gets flatter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from DiffRegLib.similarity.local import LocalNormalization

if TYPE_CHECKING:
    from jaxtyping import Float

UNEXPLAINED = 0.04  # of a neighborhood's variance: with less left over it explains no more. 0.02 to 0.1 do as well on
# simulated X-rays (`Testing.studies.simulated`), 0.3 and 1 are worse
SILENT = 1e-3  # of the mean variance of the neighborhoods, added to each: what varies by less says nothing


class Linearized(NamedTuple):
    """Cost; half of what each pixel lowers it by for K motions (K,H,W); half the curvature (K,K) of Gauss-Newton."""

    cost: float
    pull: Tensor
    curvature: Tensor


class LocalLikelihood:
    """Compares images with a target (H,W) in Gaussian neighborhoods inside a mask.

    Two features speak with equal weight: the values, and what is left of them without their mean in the neighborhood,
    which knows no shading: a slope that scatter or soft tissue bends correlates whatever the pose is.

    mask: (H,W), what a pixel counts in its neighborhoods, 0 to 1; sigma: standard deviation of one, pixels.
    """

    def __init__(self, target: Float[Tensor, "H W"], mask: Float[Tensor, "H W"], sigma: float) -> None:
        self._near = LocalNormalization(mask, sigma, 0.0)
        self._target = self._features(self._centered(target)[None])[0]
        self._mean, self._variance = self._moments(self._target)

    def linearized(
        self, image: Float[Tensor, "H W"], jacobian: Float[Tensor, "K H W"], weight: Float[Tensor, "H W"]
    ) -> Linearized:
        """Weighted mean of log(1 + (1 - r^2) / UNEXPLAINED), r the positive part of the correlation of a neighborhood.

        jacobian: derivatives of the image; weight: of the neighborhood around each pixel, sums to one. The cost is 0
        where all is explained. Its derivative is exact but for the constant SILENT of the variance.
        """
        near, values = self._near, self._features(self._centered(image)[None])[0]
        slopes = self._features(jacobian)
        mean, variance = self._moments(values)
        shared = near.mean(values * self._target) - mean * self._mean
        r = (shared / (variance * self._variance).sqrt()).clamp(min=0)
        left = 1 - r**2
        cost = float((weight * torch.log1p(left / UNEXPLAINED)).sum()) / len(values)
        toward = weight * r / ((left + UNEXPLAINED) * (variance * self._variance).sqrt()) / len(values)
        gain = weight * r**2 / ((left + UNEXPLAINED) * variance) / len(values)
        spread = near.spread(torch.cat([toward, toward * self._mean, gain, gain * mean]))
        toward_, toward_mean, gain_, gain_mean = spread.split(len(values))
        uphill = self._target * toward_ - toward_mean - values * gain_ + gain_mean
        middle = near.mean(slopes)
        along = near.mean(values * slopes) - mean * middle
        curvature = _product(slopes, gain_) - _product(middle, gain) - _product(along, gain / variance)
        return Linearized(cost, (slopes * uphill).sum(1), curvature)

    def _centered(self, image: Tensor) -> Tensor:
        """Without its mean: variances are small differences of squares."""
        mask = self._near.mask
        return image - (image * mask).sum() / mask.sum().clamp(min=1e-6)

    def _features(self, images: Tensor) -> Tensor:
        """(K,2,H,W) of images (K,H,W)."""
        return torch.stack([images, images - self._near.mean(images)], 1)

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance in each neighborhood of (2,H,W)."""
        mask, mean = self._near.mask, self._near.mean(values)
        variance = (self._near.mean(values**2) - mean**2).clamp(min=0)
        overall = (variance * mask).sum((1, 2), keepdim=True) / mask.sum().clamp(min=1e-6)
        return mean, variance + SILENT * overall + 1e-20


def _product(slopes: Tensor, weight: Tensor) -> Tensor:
    """(K,K): sum of weight (2,H,W) times the products of slopes (K,2,H,W)."""
    flat = slopes.flatten(1)
    return (flat * weight.flatten()) @ flat.T
