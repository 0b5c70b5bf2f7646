"""The options of image-driven registration and their presets. No torch here: panels and help texts import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import landmark_weight, option


@dataclass(frozen=True)
class DenseOptions:
    """What the image-driven registration can be told."""

    initialization: Literal["headers", "centers", "landmarks"] = option(
        "headers", "start: as the headers say, the centers of what is bright, or the landmarks", advanced=False
    )
    affine: bool = option(True, "fit an affine before the deformation", advanced=False)
    similarity: Literal["auto", "lncc", "mind"] = option(
        "auto",
        "what is compared at the fine levels: local correlation (lncc) for images of one kind, self-similarity (mind) "
        "for images of two; auto measures which",
        advanced=False,
    )
    stiffness: float = option(0.1, "weight of the smoothness: higher is smoother", low=1e-4, high=1e4, advanced=False)
    voxel: float = option(
        0.0, "voxel of the finest level; 0 takes the finest of the fixed image that `voxels` allow", "mm", 0.0, 50.0
    )
    voxels: float = option(3.0, "most voxels of a level", "million", 0.01, 1000.0)
    coarsest: int = option(8, "voxel of the coarsest level, in those of the finest: a power of 2", low=2, high=64)
    control_spacing: float = option(5.0, "spacing of the control points", "voxels of the finest level", 2.0, 50.0)
    affine_iterations: int = option(15, "most steps of an affine level", low=1, high=1000)
    coarse_iterations: int = option(10, "most steps of a level of self-similarity", low=1, high=1000)
    fine_iterations: int = option(8, "most steps of a level of local correlation", low=1, high=1000)
    finest_iterations: int = option(6, "most steps of the finest level, 0 skips it", low=0, high=1000)
    landmark_weight: float = landmark_weight()
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute; auto takes a GPU where there is one")


PRESETS: dict[str, DenseOptions] = {
    "automatic": DenseOptions(),
    "quick": DenseOptions(finest_iterations=0),
    "two-modalities": DenseOptions(similarity="mind"),
}
"""Options for a purpose, by name; the first are the defaults."""
