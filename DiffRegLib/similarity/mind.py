"""MIND-SSC: what a neighborhood looks like to itself, which survives a change of modality.

M. P. Heinrich, M. Jenkinson, B. W. Papiez, M. Brady, J. A. Schnabel: Towards realtime multimodal fusion for
image-guided interventions using self-similarities, MICCAI 2013.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.ops.axes import box, filter_axes

if TYPE_CHECKING:
    from jaxtyping import Float

SIX = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
PAIRS = tuple((a, b) for a, b in combinations(range(6), 2) if SIX[a] != tuple(-x for x in SIX[b]))
"""The 12 pairs of the six neighbors that lie next to each other, all sqrt(2) apart."""
CLIP = 1e3
"""How far the local variance may lie from its mean over the volume, as a factor: flat air is no pattern."""


def mind_ssc(volume: Float[Tensor, "D H W"], radius: int = 1, distance: int = 1) -> Float[Tensor, "12 D H W"]:
    """(D, H, W) -> (12, D, H, W) in [0, 1]: exp(-d / v) for each pair of neighboring patches, 1 for the most alike.

    d is the mean squared difference of the patches of `radius` voxels, `distance` voxels from the center each, less
    the smallest of the twelve; v their mean. Brightness and contrast, inverted too, do not matter. Differentiable.
    """
    shifted = [_shifted(volume, tuple(distance * step for step in offset)) for offset in SIX]
    patch = [box(n, radius, volume) for n in volume.shape]
    apart = torch.stack([filter_axes((shifted[a] - shifted[b]) ** 2, patch) for a, b in PAIRS])
    apart = apart - apart.amin(0)
    variance = apart.mean(0)
    typical = float(variance.mean()) + torch.finfo(volume.dtype).tiny
    return torch.exp(-apart / variance.clamp(typical / CLIP, typical * CLIP))


def _shifted(volume: Tensor, offset: tuple[int, ...]) -> Tensor:
    """volume[i + offset], the border repeated."""
    for axis, step in enumerate(offset):
        if step:
            index = torch.arange(volume.shape[axis], device=volume.device) + step
            volume = volume.index_select(axis, index.clamp(0, volume.shape[axis] - 1))
    return volume
