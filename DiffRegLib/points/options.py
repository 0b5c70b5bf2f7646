"""Options of making a cloud; importable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import option


@dataclass(frozen=True)
class CloudOptions:
    """How a cloud is made of a surface, a label map or a CT; a file of points is taken as it is."""

    feature: Literal["auto", "vessels", "lungs", "labels", "surface", "points", "voxels"] = option(
        "auto",
        "what becomes points: vessels of a CT's lungs, surfaces of lungs and larger vessels (thick slices), borders of "
        "labels, a surface (of a mesh, of all labels together or of a CT's lungs), the points of the file, or voxels "
        "with their values; auto decides by the file",
        advanced=False,
    )
    points: int = option(10000, "points taken from vessels, from a surface or from the voxels", low=10, high=1_000_000)
    points_per_label: int = option(2000, "points taken from the border of each label", low=10, high=1_000_000)
    labels: tuple[int, ...] = option((), "label values to take, none for all", low=1)
