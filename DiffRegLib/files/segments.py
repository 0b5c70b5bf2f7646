"""Structures of a label map: what names them, and by which evidence whole numbers are labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

FEW = 32
"""Distinct values, at most, of a map whose labels are thin: points, sheets."""
THIN = 0.9
"""Share of all neighbors of equal value in such a map; the noise of a scan stays below it."""
EVEN = 0.4
"""Share of neighbors of equal value among labeled voxels; a scan stays far below it, a label map above."""
AIR, SHARE_OF_AIR = -500.0, 0.005
"""HU and the share of voxels below it, from which on an image is a CT."""
LOOKED_AT = 1 << 22
"""Voxels in which the content is looked at, about."""


@dataclass(frozen=True)
class Segment:
    """A structure of a segmentation: its name, its number, and the layer in which it stands.

    tags: what else the file says of it, such as its color, as text.
    """

    name: str
    value: int
    layer: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)


def has_air(data: np.ndarray) -> bool:
    """Whether (C, D, H, W) values are those of a CT in HU: one channel with air below -500."""
    return data.shape[0] == 1 and float((_part(data[0]) < AIR).mean()) > SHARE_OF_AIR


def looks_like_labels(data: np.ndarray) -> bool:
    """Whether (C, D, H, W) values are whole numbers in flat regions, or few ones in a field of zeros: a guess.

    An empty map is one. A CT's air is no label; other negative numbers may be ("unknown").
    """
    if data.shape[0] != 1 or has_air(data):
        return False
    part = _part(data[0])
    if not part.any():
        filled = np.flatnonzero(data[0].reshape(data.shape[1], -1).any(axis=1))
        part = data[0][filled]
    if not np.issubdtype(part.dtype, np.integer) and not bool((part == np.rint(part)).all()):  # true for NaN as well
        return False
    return not part.size or _is_flat(part)


def _is_flat(part: np.ndarray) -> bool:
    """Neighbors in the slices (n, H, W) are equal where there are labels, or everywhere but at few thin ones."""
    equal, among = [], []
    for axis in (1, 2):
        moved = np.moveaxis(part, axis, 0)
        first, second = moved[:-1], moved[1:]
        same, either = first == second, (first != 0) | (second != 0)
        if either.any():
            equal.append(float(same.mean()))
            among.append(float(same[either].mean()))
    if not among or np.mean(among) > EVEN:
        return True
    return min(equal) > THIN and len(np.unique(part)) <= FEW


def _part(volume: np.ndarray) -> np.ndarray:
    """Whole slices (n, H, W) spread over a volume (D, H, W), about `LOOKED_AT` voxels of it."""
    return volume[:: max(1, -(-volume.size // LOOKED_AT))]
