"""What a review looks at: both sides, the transform between them, and what is known of them besides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Affine, Composite, Transform

IDENTITY = Affine(torch.eye(4, dtype=torch.float64))
CLOUD_SPACING, MARGIN = 3.0, 10.0  # mm: the grid that stands for clouds
FALLBACK = 3.0  # mm: where a transform alone is reviewed


@dataclasses.dataclass(frozen=True, eq=False)
class LandmarkPairs:
    """Corresponding points, fixed and moving (L, 3) float64 RAS mm, with a name each."""

    fixed: Tensor
    moving: Tensor
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.fixed) != len(self.moving):
            raise RegistrationError(
                f"There are {len(self.fixed)} landmarks on the fixed side and {len(self.moving)} on the moving side: "
                "give the same ones in the same order."
            )
        if not len(self.fixed):
            raise RegistrationError("There are no landmarks: give at least one pair, or none of the two lists.")
        if not self.names:
            object.__setattr__(self, "names", tuple(str(n + 1) for n in range(len(self.fixed))))


@dataclasses.dataclass(frozen=True, eq=False)
class LabelPair:
    """Label maps of both sides, each on its own grid, and the names of the labels that have one."""

    fixed: Image
    moving: Image
    names: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def name(self, label: int) -> str:
        return self.names.get(label, f"label {label}")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One registration to be reviewed.

    transform: fixed -> moving, RAS mm; inverse: back, where there is one. fixed, moving: two images, two clouds, or
    None where the transform alone is known. driven_by: what drove the field and its name, a mask, an image of
    distances (mm) with `is_distance`, or points; None leaves it to be guessed from what there is.
    repeats: transforms of perturbed repeats of the same registration. trace: rows of `TraceRow`. provenance: facts for
    the report, in its order. method: the name of the method, "" where it is not known.
    """

    name: str
    transform: Transform
    inverse: Transform | None = None
    fixed: Image | PointCloud | None = None
    moving: Image | PointCloud | None = None
    landmarks: LandmarkPairs | None = None
    labels: LabelPair | None = None
    driven_by: Drivers | None = None
    repeats: tuple[Transform, ...] = ()
    trace: tuple[Any, ...] = ()
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)
    method: str = ""

    @property
    def images(self) -> tuple[Image, Image] | None:
        """Both images, where there are two."""
        both = isinstance(self.fixed, Image) and isinstance(self.moving, Image)
        return (self.fixed, self.moving) if both else None

    @property
    def clouds(self) -> tuple[PointCloud, PointCloud] | None:
        """Both clouds, where there are two."""
        both = isinstance(self.fixed, PointCloud) and isinstance(self.moving, PointCloud)
        return (self.fixed, self.moving) if both else None

    def frame(self) -> Geometry:
        """The box of the fixed side as a grid: the image's, the labels', one around points, or the field's own."""
        for image in (self.fixed, self.labels.fixed if self.labels else None):
            if isinstance(image, Image):
                return image.geometry
        if isinstance(self.fixed, PointCloud):
            return Geometry.around(self.fixed.points, CLOUD_SPACING, MARGIN)
        if self.landmarks is not None:
            return Geometry.around(self.landmarks.fixed, FALLBACK, MARGIN)
        own = next((g for part in parts(self.transform) if (g := part.default_geometry()) is not None), None)
        if own is None:
            raise RegistrationError(
                f"{self.name}: a linear transform alone says nothing of where it is used: give the fixed image too."
            )
        return own


@dataclasses.dataclass(frozen=True, eq=False)
class Drivers:
    """What drove a field, in words for a sentence ("the points", "the lungs"), and where in the fixed frame it is.

    mask: not 0 there; or points (N, 3); or distance: mm to the nearest of it. reach: mm up to which it is taken to
    drive, where the method says.
    """

    words: str
    mask: Image | None = None
    points: Tensor | None = None
    distance: Image | None = None
    reach: float | None = None


def parts(transform: Transform) -> tuple[Transform, ...]:
    """The transforms that are applied one after the other, the last one first."""
    return tuple(transform.transforms) if isinstance(transform, Composite) else (transform,)
