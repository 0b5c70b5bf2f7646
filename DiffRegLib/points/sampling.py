"""Thinning a dense set of points to a given number that cover it evenly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError


def farthest_points(points: Tensor, n: int, seed: int = 0) -> Tensor:
    """Indices (n,) int64 of points that are as far from each other as can be, in the order of their choice.

    points: (N, 3) in mm. Every next point is the one farthest from those already chosen (Eldar et al., The farthest
    point strategy for progressive image sampling, IEEE TIP 1997); `seed` chooses the first. All indices for n >= N.
    """
    import fpsample

    if n < 1:
        raise RegistrationError(f"{n} points were asked for: ask for at least one.")
    if n >= len(points):
        return torch.arange(len(points))
    coordinates = points.detach().cpu().numpy().astype(np.float32)
    first = int(np.random.default_rng(seed).integers(len(coordinates)))
    height = int(np.clip(np.log2(len(coordinates) / 32), 1, 9))
    chosen = fpsample.bucket_fps_kdline_sampling(coordinates, n, h=height, start_idx=first)
    return torch.from_numpy(chosen.astype(np.int64))


def thin(points: Tensor, weights: Tensor, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """At most n of the points, spread evenly, each with the weight of all points nearest to it.

    points: (N, 3) mm; weights: (N,). The weights keep their sum, so that a cloud thinned from area elements
    still sums to the area.
    """
    from scipy.spatial import cKDTree

    chosen = farthest_points(points, n, seed)
    kept = points[chosen]
    if len(chosen) == len(points):
        return kept, weights[chosen]
    _, nearest = cKDTree(kept.numpy()).query(points.numpy(), workers=-1)
    total = np.bincount(nearest, weights=weights.double().numpy(), minlength=len(chosen))
    return kept, torch.from_numpy(total).to(weights.dtype)


def with_mean_one(weights: Tensor) -> Tensor:
    """The weights in units of their mean."""
    return weights / weights.mean()
