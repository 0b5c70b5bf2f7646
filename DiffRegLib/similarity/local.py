"""Local normalization: what remains of an image when the brightness and the contrast of each neighborhood are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class LocalNormalization:
    """(x - mean) / (deviation + floor) with Gaussian neighborhoods inside a mask.

    mask: (H,W); sigma: of the neighborhood, pixels; floor: fraction of the standard deviation over the whole image that
    is added to the local one, so that flat neighborhoods are not blown up into noise.
    """

    def __init__(self, mask: Shaped[Tensor, "H W"], sigma: float, floor: float) -> None:
        self.mask = mask if mask.is_floating_point() else mask.float()
        self.sigma, self.floor = sigma, floor
        self._mass = _blur(self.mask[None], sigma).clamp(min=1e-3)

    def __call__(self, image: Float[Tensor, "K H W"]) -> Float[Tensor, "K H W"]:
        """Normalizes (K,H,W)."""
        detail, local, floor = self._parts(image)
        return detail / (local + floor)

    def deviation(self, image: Float[Tensor, "K H W"]) -> Float[Tensor, "K H W"]:
        """The standard deviation in the neighborhood of each pixel of (K,H,W)."""
        return self._parts(image)[1]

    def _parts(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What differs from the local mean, the local standard deviation, and the floor added to it."""
        detail = image - self.mean(image)
        energy = (detail**2 * self.mask).sum((-2, -1), keepdim=True) / self.mask.sum().clamp(min=1)
        return detail, (self.mean(detail**2) + 1e-20).sqrt(), self.floor * energy.sqrt() + 1e-10

    def mean(self, image: Float[Tensor, "*K H W"]) -> Float[Tensor, "*K H W"]:
        """The mean over the neighborhood of each pixel."""
        return _blur(image * self.mask, self.sigma) / self._mass

    def spread(self, image: Float[Tensor, "*K H W"]) -> Float[Tensor, "*K H W"]:
        """What each pixel gets when every neighborhood shares its value out: the transpose of `mean`."""
        return _blur(image / self._mass, self.sigma) * self.mask


def _blur(image: Tensor, sigma: float) -> Tensor:
    reach = max(1, int(3 * sigma + 0.5))
    offsets = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    rows = F.conv2d(image.reshape(-1, 1, *image.shape[-2:]), kernel.view(1, 1, -1, 1), padding=(reach, 0))
    return F.conv2d(rows, kernel.view(1, 1, 1, -1), padding=(0, reach)).view(image.shape)
