"""Correlation of two images, of their gradients and of their patches.

Images are (..., H, W); every function returns one number an image, of the leading shape that both broadcast to. A mask
(..., H, W) of booleans or weights says where to compare; what lies outside of it has no influence. Constant images
correlate with nothing: 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

    Planes = Float[Tensor, "*batch H W"]
    Mask = Shaped[Tensor, "*batch H W"]

TINY = 1e-12  # of the variance that counts as none, relative to the mean square


def ncc(first: Planes, second: Planes, mask: Mask | None = None) -> Float[Tensor, "*batch"]:
    """Normalized cross-correlation, -1 to 1."""
    a, b, weights = _same(first, second, mask)
    a, b = _centered(a, weights), _centered(b, weights)
    covariance = (weights * a * b).sum((-2, -1))
    return covariance / (_energy(a, first, weights) * _energy(b, second, weights)).sqrt()


def gradient_ncc(first: Planes, second: Planes, mask: Mask | None = None) -> Float[Tensor, "*batch"]:
    """Mean NCC of the two Sobel derivatives (Gao et al., ProST, MICCAI 2020, sec. 2.3), -1 to 1.

    A derivative counts where all nine of its pixels exist and are inside the mask: neither the edge of the image nor
    that of the mask is taken for an edge of the object.
    """
    a, b, weights = _same(first, second, mask)
    inside = -F.max_pool2d(-_planes(weights), 3, 1)
    inside = inside.view(*weights.shape[:-2], *inside.shape[-2:])
    across, down = (ncc(x, y, inside) for x, y in zip(sobel(a), sobel(b)))
    return (across + down) / 2


def patch_ncc(
    first: Planes,
    second: Planes,
    mask: Mask | None = None,
    sizes: Sequence[int] = (5, 11),
    floor: float = 0.05,
) -> Float[Tensor, "*batch"]:
    """Mean over all square patches, and over the sizes, of the NCC within the patch, -1 to 1.

    sizes: widths in pixels. floor: a patch whose standard deviation is below this fraction of the whole image's counts
    less, so that noise in empty patches is not amplified. A patch counts by the part of it that lies inside the mask.
    """
    a, b, weights = _same(first, second, mask)
    a, b = _centered(a, weights), _centered(b, weights)  # the variances below are then sums of small numbers
    total = weights.sum((-2, -1), keepdim=True).clamp(min=TINY)
    floors = [floor**2 * (weights * x * x).sum((-2, -1), keepdim=True) / total + TINY for x in (a, b)]
    scores = []
    for size in sizes:
        part = _box(weights, size)
        safe = part.clamp(min=TINY)
        mean_a, mean_b = _box(weights * a, size) / safe, _box(weights * b, size) / safe
        covariance = _box(weights * a * b, size) / safe - mean_a * mean_b
        variance_a = (_box(weights * a * a, size) / safe - mean_a**2).clamp(min=0) + floors[0]
        variance_b = (_box(weights * b * b, size) / safe - mean_b**2).clamp(min=0) + floors[1]
        score = covariance / (variance_a * variance_b).sqrt()
        scores.append((score * part).sum((-2, -1)) / part.sum((-2, -1)).clamp(min=TINY))
    return torch.stack(scores).mean(0)


def negative_mse(first: Planes, second: Planes, mask: Mask | None = None) -> Float[Tensor, "*batch"]:
    """Minus the mean squared difference: 0 for equal images."""
    a, b, weights = _same(first, second, mask)
    return -(weights * (a - b) ** 2).sum((-2, -1)) / weights.sum((-2, -1)).clamp(min=TINY)


def sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives along columns and rows, (..., H-2, W-2): valid pixels only, in units of the image a pixel."""
    smooth_rows = (image[..., :-2, :] + 2 * image[..., 1:-1, :] + image[..., 2:, :]) / 8
    smooth_columns = (image[..., :-2] + 2 * image[..., 1:-1] + image[..., 2:]) / 8
    return smooth_rows[..., 2:] - smooth_rows[..., :-2], smooth_columns[..., 2:, :] - smooth_columns[..., :-2, :]


def _same(first: Tensor, second: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    weights = torch.ones_like(second[..., :, :]) if mask is None else mask.to(second.dtype)
    return first, second, weights


def _centered(image: Tensor, weights: Tensor) -> Tensor:
    return image - (weights * image).sum((-2, -1), keepdim=True) / weights.sum((-2, -1), keepdim=True).clamp(min=TINY)


def _energy(centered: Tensor, image: Tensor, weights: Tensor) -> Tensor:
    """Sum of squares, with what rounding leaves of a constant image taken for nothing."""
    return (weights * centered**2).sum((-2, -1)) + TINY * (weights * image.detach() ** 2).sum((-2, -1)) + 1e-30


def _planes(image: Tensor) -> Tensor:
    return image.reshape(-1, 1, *image.shape[-2:])


def _box(image: Tensor, size: int) -> Tensor:
    """Mean over all windows that fit; a window wider than the image is the image."""
    width = (min(size, image.shape[-2]), min(size, image.shape[-1]))
    pooled = F.avg_pool2d(_planes(image), width, 1)
    return pooled.view(*image.shape[:-2], *pooled.shape[-2:])
