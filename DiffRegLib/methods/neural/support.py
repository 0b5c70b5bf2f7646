"""Where the images drive the field."""

from __future__ import annotations

import torch

from DiffRegLib.image import Image
from DiffRegLib.methods.neural.features import smoothed
from DiffRegLib.methods.neural.prepare import Pair, limits
from DiffRegLib.methods.registration import Support
from DiffRegLib.similarity.neighborhoods import Neighborhoods
from DiffRegLib.transforms import Transform

OUTSIDE = "is what the networks continue"
"""What the field does where the images do not drive it."""
LONGEST = 64
"""Voxels of the longest side of the map."""
NEIGHBORHOOD, FLAT = 1.5, 0.05
"""Standard deviation of a neighborhood in voxels of the map, and the deviation of grey values in it, as a share of the
image's, below which it shows nothing that could be matched."""


def driven(pair: Pair, transform: Transform, reach: float) -> Support | None:
    """Support by what has contrast in the fixed image and lies in both; None for two slices. reach: mm."""
    from scipy.ndimage import distance_transform_edt

    fixed = pair.fixed
    if fixed.shape[0] == 1:
        return None
    step = float((fixed.size * fixed.spacing).max()) / LONGEST
    coarse = smoothed(fixed, step, fixed.spacing.clamp(min=step / 2), limits(fixed))
    volume = coarse.data[0]
    around = Neighborhoods(volume, (NEIGHBORHOOD,) * 3)
    deviation = around.mean((volume - around.mean(volume)) ** 2).sqrt()
    seen = deviation > FLAT * float(volume.std())
    points = coarse.grid()
    there = transform(points.reshape(-1, 3)).reshape(points.shape)
    seen &= pair.moving.contains(there)
    for mask, at in ((pair.fixed_mask, points), (pair.moving_mask, there)):
        if mask is not None:
            seen &= mask.sample(at, "nearest")[0] != 0
    if not seen.any():
        return Support(Image(torch.full((1, *coarse.shape), torch.inf), coarse.affine), reach, OUTSIDE)
    distance = distance_transform_edt(~seen.numpy(), sampling=coarse.spacing.flip(0).tolist())
    return Support(Image(torch.from_numpy(distance).float()[None], coarse.affine), reach, OUTSIDE)
