"""How well rendered images match a radiograph, with what Gauss-Newton needs: residuals, their slopes and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from DiffRegLib.methods.projective.views import View
from DiffRegLib.similarity import LocalNormalization
from DiffRegLib.similarity.correlation import sobel

FLOOR = 0.3  # of the image's standard deviation, added to a neighborhood's
Kind = Literal["ncc", "gradient-ncc", "local-ncc", "mse"]


@dataclass(frozen=True)
class Residual:
    """Differences (P,), their derivatives (6,P), weights (P,) that sum to one, and the cost that they linearize."""

    difference: Tensor
    slope: Tensor
    weight: Tensor
    cost: float

    @property
    def gradient(self) -> Tensor:
        return ((self.slope * self.weight) @ self.difference).double()

    @property
    def curvature(self) -> Tensor:
        return ((self.slope * self.weight) @ self.slope.T).double()


class Match:
    """Compares line integrals (rows, columns) with one radiograph.

    kind: what is compared: the images (mse, ncc), their Sobel derivatives (gradient-ncc), or the images with brightness
        and contrast of each neighborhood removed and differing pixels weighted down (local-ncc).
    polarity: 1 where what absorbs more is brighter in the radiograph, -1 where it is darker.
    pixels: standard deviation of a neighborhood.
    outlier: difference from which a pixel counts less, in local standard deviations.
    foreign: the radiograph does not show line integrals of the CT alone; `focus` then weights pixels.
    thin: part of the median line integral below which a ray is left out then.
    ranks: whether local-ncc takes the rank of each pixel in place of its value: no grey scale is too steep then.
    """

    def __init__(
        self,
        view: View,
        kind: Kind,
        polarity: float = 1.0,
        pixels: float = 2.5,
        outlier: float = 0.7,
        foreign: bool = False,
        thin: float = 0.0,
        ranks: bool = False,
    ) -> None:
        self.view, self.kind, self.polarity = view, kind, polarity
        self.foreign, self.thin, self.outlier, self.ranks = foreign, thin, outlier, ranks
        self._sigma = pixels
        self._aim(view.mask)

    def focus(self, image: Tensor, soft: Tensor, known: Tensor) -> None:
        """Decides, for a pose at which the CT and its soft tissue alone look like this, how much each pixel counts.

        known: (rows, columns), what the CT knows of each ray. Where rays are thin, the body itself ends: its grey scale
        is far from the line integral there. And pixels count as the structure in a neighborhood is that of bone, in
        amplitude: soft tissue and gas move, bone does not.
        """
        if not self.foreign or self.local is None:
            return
        seen = image[self.view.mask]
        dense = self.view.mask & (image > self.thin * seen[seen > 0.05 * seen.max()].median())
        dense = dense if dense.sum() > 0.1 * self.view.mask.sum() else self.view.mask
        if (dense * known).sum() > 0.02 * self.view.mask.sum():
            self._aim(dense * known)
        rigid, moving = self.local.deviation(torch.stack([image - soft, soft])) ** 2
        share = (rigid / (rigid + moving + 1e-12)).sqrt() * self.mask
        if share.sum() > 0.01 * self.mask.sum():
            self._weights = [(share / share.sum()).flatten()]

    def linearize(self, image: Tensor, jacobian: Tensor) -> Residual:
        """The residual at an image (rows, columns) with derivatives (6, rows, columns)."""
        if self.kind == "local-ncc":
            normalized, slopes = self.local.with_jacobian(image, jacobian)
            return self._robust(normalized.flatten(), slopes.flatten(1))
        parts = [
            self._linear(target, values, slopes, weight)
            for target, values, slopes, weight in zip(self._targets, *self._features(image, jacobian), self._weights)
        ]
        if len(parts) == 1:
            return parts[0]
        return Residual(
            torch.cat([p.difference for p in parts]),
            torch.cat([p.slope for p in parts], 1),
            torch.cat([p.weight for p in parts]) / len(parts),
            sum(p.cost for p in parts) / len(parts),
        )

    def scores(self, images: Tensor) -> Tensor:
        """Correlation (B,) of what is compared with images (B, rows, columns), -1 to 1."""
        scores = []
        for feature, target, weight in zip(self._split(self.features(images)), self._targets, self._weights):
            flat = feature.flatten(1)
            flat = flat - (flat @ weight)[:, None]
            reference = target.flatten() - (target.flatten() * weight).sum()
            norm = ((flat**2 @ weight) * (reference**2 * weight).sum()).sqrt() + 1e-12
            scores.append(flat @ (reference * weight) / norm)
        return torch.stack(scores).mean(0)

    @property
    def target(self) -> Tensor:
        """The radiograph (rows, columns) as `features` are compared with it: of positive polarity."""
        return self._targets[0].view(self.mask.shape) if self.local else self.view.image * self.polarity

    def features(self, images: Tensor) -> Tensor:
        """Images (B, rows, columns) with brightness and contrast of neighborhoods removed where that is compared."""
        return self.local(images) if self.local else images

    def _aim(self, mask: Tensor) -> None:
        """Prepares the radiograph for comparison inside a mask."""
        self.mask = mask
        self.local: LocalNormalization | None = None
        image = self.view.image * self.polarity
        if self.kind == "local-ncc":
            self.local = LocalNormalization(mask, self._sigma, FLOOR)
            even = equalized(image, self.view.mask) if self.ranks else image
            self._targets, masks = [self.local(even[None])[0].flatten()], [mask]
        elif self.kind == "gradient-ncc":
            inside = -torch.nn.functional.max_pool2d(-mask[None].float(), 3, 1)[0]
            self._targets, masks = [part.flatten() for part in sobel(image)], [inside, inside]
        else:
            self._targets, masks = [image.flatten()], [mask]
        self._weights = [m.flatten().float() / m.sum().clamp(min=1) for m in masks]

    def _split(self, images: Tensor) -> tuple[Tensor, ...]:
        return sobel(images) if self.kind == "gradient-ncc" else (images,)

    def _features(self, image: Tensor, jacobian: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        values = [part.flatten() for part in self._split(image)]
        return values, [part.flatten(1) for part in self._split(jacobian)]

    def _linear(self, target: Tensor, values: Tensor, slopes: Tensor, weight: Tensor) -> Residual:
        """Cost mean (a - b)^2; for ncc of images of mean 0 and variance 1, where it is 2 - 2 NCC."""
        if self.kind != "mse":
            target, _ = _standardized(target, weight)
            slopes = slopes - (slopes @ weight)[:, None]
            values, deviation = _standardized(values, weight)
            slopes = slopes / deviation
            slopes = slopes - (slopes @ (values * weight))[:, None] * values
        difference = target - values
        return Residual(difference, slopes, weight, float((difference**2 * weight).sum()))

    def _robust(self, values: Tensor, slopes: Tensor) -> Residual:
        """Cauchy's loss of the differences, which reweighted least squares linearize."""
        difference = self._targets[0] - values
        ratio = (difference / self.outlier) ** 2
        weight = self._weights[0]
        cost = float((weight * torch.log1p(ratio)).sum()) * self.outlier**2
        return Residual(difference, slopes, weight / (1 + ratio), cost)


def _standardized(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean 0 and variance 1 under weights that sum to one, and the standard deviation."""
    centered = values - (values * weight).sum()
    deviation = (centered**2 * weight).sum().sqrt() + 1e-12
    return centered / deviation, deviation


def equalized(image: Tensor, mask: Tensor) -> Tensor:
    """The rank of each pixel (H,W) among those inside the mask, 0 to 1: the same for every monotone grey scale."""
    values, place, counts = image[mask].unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - counts / 2) / counts.sum()
    even = torch.full_like(image, 0.5)
    even[mask] = ranks[place].to(image.dtype)
    return even
