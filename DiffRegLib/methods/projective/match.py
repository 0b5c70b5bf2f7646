"""How well rendered images match a radiograph, with what Gauss-Newton needs: where each pixel pulls, and curvature."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from DiffRegLib.methods.projective.views import View
from DiffRegLib.similarity import Linearized, LocalLikelihood, LocalNormalization
from DiffRegLib.similarity.correlation import sobel

FLOOR = 0.3  # of the image's standard deviation, added to a neighborhood's
Kind = Literal["ncc", "gradient-ncc", "local-ncc", "mse"]


class Match:
    """Compares line integrals (rows, columns) with one radiograph.

    kind: what is compared: the images (mse, ncc), their Sobel derivatives (gradient-ncc), or neighborhoods, each with
        brightness, contrast and noise of its own (local-ncc, see `LocalLikelihood`).
    polarity: 1 where what absorbs more is brighter in the radiograph, -1 where it is darker.
    pixels: standard deviation of a neighborhood.
    foreign: the radiograph does not show line integrals of the CT alone; `focus` then weights pixels, and what `scores`
        correlates is the rank of each, as no grey scale is too steep then.
    thin: part of the median line integral below which a ray is left out then.
    """

    def __init__(
        self,
        view: View,
        kind: Kind,
        polarity: float = 1.0,
        pixels: float = 2.5,
        foreign: bool = False,
        thin: float = 0.0,
    ) -> None:
        self.view, self.kind, self.polarity = view, kind, polarity
        self.foreign, self.thin = foreign, thin
        self._sigma = pixels
        self._aim(view.mask)

    def focus(self, image: Tensor, soft: Tensor, known: Tensor) -> None:
        """Decides, for a pose at which the CT and its soft tissue alone look like this, how much each pixel counts.

        known: (rows, columns), see `Level.known`; the part itself is enough here, as the brightness of what is guessed
        does not count. Where rays are thin, the body itself ends: its grey scale is far from the line integral there.
        And pixels count as the structure in a neighborhood is that of bone, in amplitude: soft tissue and gas move,
        bone does not.
        """
        if not self.foreign or self.local is None:
            return
        seen = image[self.view.mask]
        dense = self.view.mask & (image > self.thin * seen[seen > 0.05 * seen.max()].median())
        dense = dense if dense.sum() > 0.1 * self.view.mask.sum() else self.view.mask
        if (dense * known).sum() > 0.02 * self.view.mask.sum():
            self._aim(dense * known.sqrt())
        rigid, moving = self.local.deviation(torch.stack([image - soft, soft])) ** 2
        share = (rigid / (rigid + moving + 1e-12)).sqrt() * self.mask
        if share.sum() > 0.01 * self.mask.sum():
            self._weights = [(share / share.sum()).flatten()]

    def linearize(self, image: Tensor, jacobian: Tensor) -> Linearized:
        """What an image (rows, columns) with derivatives (6, rows, columns) says; its pull is (6, pixels)."""
        if self.likelihood is not None:
            found = self.likelihood.linearized(image, jacobian, self._weights[0].view(self.mask.shape))
            return found._replace(pull=found.pull.flatten(1))
        parts = [
            self._linear(target, values, slopes, weight)
            for target, values, slopes, weight in zip(self._targets, *self._features(image, jacobian), self._weights)
        ]
        return Linearized(
            sum(p.cost for p in parts) / len(parts),
            torch.cat([p.pull for p in parts], 1) / len(parts),
            sum(p.curvature for p in parts) / len(parts),
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
        self.likelihood: LocalLikelihood | None = None
        image = self.view.image * self.polarity
        if self.kind == "local-ncc":
            self.local = LocalNormalization(mask, self._sigma, FLOOR)
            self.likelihood = LocalLikelihood(image, self.local.mask, self._sigma)
            even = equalized(image, self.view.mask) if self.foreign else image
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

    def _linear(self, target: Tensor, values: Tensor, slopes: Tensor, weight: Tensor) -> Linearized:
        """Cost mean (a - b)^2; for ncc of images of mean 0 and variance 1, where it is 2 - 2 NCC."""
        if self.kind != "mse":
            target, _ = _standardized(target, weight)
            slopes = slopes - (slopes @ weight)[:, None]
            values, deviation = _standardized(values, weight)
            slopes = slopes / deviation
            slopes = slopes - (slopes @ (values * weight))[:, None] * values
        difference, weighted = target - values, slopes * weight
        return Linearized(float((difference**2 * weight).sum()), weighted * difference, weighted @ slopes.T)


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
