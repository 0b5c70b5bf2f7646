"""How a transform changes the volume of each segment of the fixed image."""

from __future__ import annotations

import dataclasses

import numpy as np

from DiffRegLib.image import Image
from DiffRegLib.review.field import FieldMaps
from DiffRegLib.review.labels import numbered


@dataclasses.dataclass(frozen=True)
class VolumeChange:
    """Of one label, in ml: the volume in the fixed image and where the transform takes it, the integral of the
    determinant over it; what its expanding and its compressing voxels contribute to the difference."""

    label: int
    fixed_ml: float
    mapped_ml: float
    expanded_ml: float
    compressed_ml: float

    @property
    def percent(self) -> float:
        return 100 * (self.mapped_ml / self.fixed_ml - 1)


def volume_changes(maps: FieldMaps, labels: Image) -> list[VolumeChange]:
    """One row for each label but 0, counted on the labels' own grid (any grid in the fixed frame)."""
    values, index = numbered(labels)
    voxel_ml = float(labels.spacing.prod()) / 1000
    determinant = _at_labels(maps, labels).ravel()
    count, mapped, expanded = (
        np.bincount(index.ravel(), weight, len(values)) * voxel_ml
        for weight in (None, determinant, np.maximum(determinant - 1, 0))
    )
    return [
        VolumeChange(int(value), *map(float, (count[n], mapped[n], expanded[n], count[n] + expanded[n] - mapped[n])))
        for n, value in enumerate(values)
        if value
    ]


def _at_labels(maps: FieldMaps, labels: Image) -> np.ndarray:
    """The determinant at the voxel centers of the labels."""
    same = maps.geometry.shape == labels.shape and maps.geometry.affine.allclose(labels.affine, atol=1e-4)
    return (maps.determinant if same else maps.determinant.resample(labels, outside="border")).data[0].numpy()
