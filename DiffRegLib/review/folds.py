"""Where a transform folds: connected regions of voxels whose Jacobian determinant is not positive."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.review.field import FieldMaps


@dataclasses.dataclass(frozen=True, eq=False)
class FoldedRegion:
    """Folded voxels that touch each other.

    center: (3,) RAS mm, their mean. deepest: (3,) RAS mm, the voxel of the least determinant, where one looks first.
    volume_ml: of the fixed image. least: the smallest determinant in it.
    """

    center: Tensor
    deepest: Tensor
    voxels: int
    volume_ml: float
    least: float


def folded_regions(maps: FieldMaps) -> list[FoldedRegion]:
    """The folded regions, the largest first; voxels that share a face, an edge or a corner belong together."""
    from scipy.ndimage import find_objects, label

    folded = maps.folded.numpy()
    if not folded.any():
        return []
    numbered, _ = label(folded, structure=np.ones((3, 3, 3)))
    determinant = maps.determinant.data[0].numpy()
    voxel_ml = float(maps.geometry.spacing.prod()) / 1000
    regions = []
    for number, box in enumerate(find_objects(numbered), 1):
        inside = numbered[box] == number
        index = np.argwhere(inside) + [part.start for part in box]
        values = determinant[box][inside]
        places = torch.from_numpy(np.stack((index.mean(0), index[values.argmin()]))[:, ::-1].copy())
        center, deepest = maps.geometry.to_world(places)
        regions.append(FoldedRegion(center, deepest, len(index), len(index) * voxel_ml, float(values.min())))
    return sorted(regions, key=lambda region: -region.voxels)
