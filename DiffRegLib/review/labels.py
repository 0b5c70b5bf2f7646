"""Labels numbered one after the other, and their surfaces as points."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.image import Image

TABLE = 1 << 22
"""The widest range of label values that is looked up in a table rather than sorted."""


def numbered(labels: Image) -> tuple[np.ndarray, np.ndarray]:
    """The values (L,) of a label map in ascending order, and for each voxel (D, H, W) the place of its value."""
    data = _whole(labels)[0]
    low = int(data.min())
    if int(data.max()) - low >= TABLE:
        values, index = np.unique(data, return_inverse=True)
        return values, index.reshape(labels.shape)
    values = _values(data)
    table = np.zeros(values[-1] - low + 1, dtype=np.int32)
    table[values - low] = np.arange(len(values))
    return values, table[data - low]


def present(labels: Image) -> set[int]:
    """The labels of a map, of all its layers, 0 left out."""
    return set(map(int, _values(_whole(labels)))) - {0}


def _whole(labels: Image) -> np.ndarray:
    """(C, D, H, W) whole numbers."""
    return (labels.data.round().long() if labels.data.is_floating_point() else labels.data).numpy()


def _values(data: np.ndarray) -> np.ndarray:
    """The values in ascending order; where they are small by a table, which is ten times as fast as sorting."""
    low, high = int(data.min()), int(data.max())
    if high - low >= TABLE:
        return np.unique(data)
    found = np.zeros(high - low + 1, dtype=bool)
    found[data.ravel() - low] = True
    return np.flatnonzero(found) + low


def label_surfaces(labels: Image) -> dict[int, Tensor]:
    """For each label but 0 the (N, 3) float64 RAS mm centers of its voxels that share a face with another label.

    What lies beyond the image counts as more of the same: a cut through an organ is no surface. These are the contours
    of SimpleITK's LabelContour.
    """
    from scipy.ndimage import find_objects

    values, index = numbered(labels)
    surfaces = {}
    for number, (value, box) in enumerate(zip(values, find_objects(index + 1))):
        if value:
            corner = [max(0, side.start - 1) for side in box]
            around = tuple(slice(low, side.stop + 1) for low, side in zip(corner, box))
            voxels = np.argwhere(_contour(index[around] == number)) + corner
            surfaces[int(value)] = labels.to_world(torch.from_numpy(voxels[:, ::-1].astype(np.float64)))
    return surfaces


def _contour(inside: np.ndarray) -> np.ndarray:
    """The voxels inside that have one of their six neighbors outside."""
    padded = np.pad(inside, 1, mode="edge")
    core = (slice(1, -1),) * 3
    enclosed = padded[core].copy()
    for axis in range(3):
        for shift in (slice(0, -2), slice(2, None)):
            enclosed &= padded[core[:axis] + (shift,) + core[axis + 1 :]]
    return inside & ~enclosed
