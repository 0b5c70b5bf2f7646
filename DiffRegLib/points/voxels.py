"""A cloud of an image itself: each voxel is a point with a value, so that images are splatted as clouds are."""

from __future__ import annotations

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.points.cloud import PointCloud

DARK, BRIGHT = 0.01, 0.99  # quantiles of the values that weigh 0 and 1
FAINT = 0.05  # weight below which a voxel is left out: air, background


def cloud_from_voxels(image: Image, count: int, mask: Image | None = None, name: str = "the image") -> PointCloud:
    """At most about `count` voxels of an image of one channel, weighted by their values from 0 (dark) to 1 (bright).

    The grid is averaged until it has no more voxels than that. mask: leaves out what is 0 in it. Raises
    RegistrationError where nothing is left.
    """
    if image.channels != 1:
        raise RegistrationError(f"{name} has {image.channels} values a voxel: give an image with one.")
    factor = max(1, round((image.data[0].numel() / count) ** (1 / 3)))
    coarse = _averaged(image, factor)
    low, high = torch.quantile(_some(coarse.data), torch.tensor([DARK, BRIGHT]))
    weights = ((coarse.data[0] - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    points = coarse.grid()
    kept = weights > FAINT
    if mask is not None:
        kept &= mask.sample(points.reshape(-1, 3))[0].reshape(kept.shape) > 0
    if not kept.any():
        raise RegistrationError(
            f"{name} has no bright voxels where it counts: check its mask, or take another feature."
        )
    return PointCloud.plain(points[kept], weights[kept])


def _averaged(image: Image, factor: int) -> Image:
    """Means of blocks of `factor` voxels along each axis; what is left over at the ends is dropped."""
    if factor == 1 or min(image.shape) < factor:
        return image
    affine = image.affine.clone()
    affine[:3, 3] = image.to_world(torch.full((3,), (factor - 1) / 2, dtype=torch.float64))
    affine[:3, :3] = affine[:3, :3] * factor
    return Image(torch.nn.functional.avg_pool3d(image.data[None].float(), factor)[0], affine)


def _some(values: torch.Tensor, most: int = 1_000_000) -> torch.Tensor:
    """Every so many-th value: `torch.quantile` takes 16 million at most."""
    flat = values.flatten().float()
    return flat[:: max(1, len(flat) // most)]
