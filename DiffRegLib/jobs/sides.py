"""One side of a registration: what was read from its files, and how it is carried to the other side's frame."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.files import Kind, Opened, open_file, write, write_cloud
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.points.polydata import vertices, with_vertices
from DiffRegLib.transforms import Transform, invert_points

MOST_VOXELS = 2**24
MARGIN = 10.0  # mm around a cloud, where it alone defines a grid


@dataclasses.dataclass(frozen=True)
class Thing:
    """The content of a file: an `Image`, a `PointCloud` or a vtkPolyData, in RAS mm."""

    path: str
    kind: Kind
    content: Any
    is_labels: bool = False
    dtype: str = "float32"  # of an image's voxels when it is written

    def points(self) -> Tensor:
        """(N, 3) float64 RAS mm: the cloud's points, the surface's vertices, or the corners of the image."""
        if self.kind == "image":
            return self.content.corners()
        if self.kind == "surface":
            return torch.from_numpy(vertices(self.content))
        return self.content.points.double()


def read_thing(path: str) -> Thing:
    """Reads an image, a surface or a cloud; raises `RegistrationError` that names the file."""
    return thing_of(open_file(path, ("image", "labels", "surface", "points")))


def thing_of(opened: Opened) -> Thing:
    """What was opened, as it is carried."""
    labels = opened.kind == "labels"
    content = opened.content.cloud() if opened.kind == "points" else opened.content
    return Thing(opened.path, "image" if labels else opened.kind, content, labels, opened.dtype)


def carry(thing: Thing, pull: Transform, push: Transform | None, like: Geometry | Image | None) -> Thing:
    """The thing in the other frame.

    pull: from the other frame to the thing's own: images are sampled through it on the grid `like`. push: its inverse,
    which moves points; where there is none, `pull` is inverted at the points.
    """
    if thing.kind == "image":
        grid = like if like is not None else image_frame(thing.content, pull)
        mode = "nearest" if thing.is_labels else "linear"
        outside = min(0.0, float(thing.content.data.min()))
        return dataclasses.replace(thing, content=thing.content.resample(grid, pull, mode, outside))
    points = thing.points()
    with torch.no_grad():
        moved = push(points) if push is not None else invert_points(pull, points)
    if thing.kind == "surface":
        return dataclasses.replace(thing, content=with_vertices(thing.content, moved.numpy()))
    return dataclasses.replace(thing, content=thing.content.at(moved.float()))


def write_thing(thing: Thing, path: Path) -> None:
    """Writes it; images with the type of their input, `.nrrd` without compression, for whom speed matters most."""
    if thing.kind == "points":
        write_cloud(thing.content, path)
    else:
        write(Opened(thing.path, thing.kind, thing.content, thing.dtype), path)


def extension(thing: Thing) -> str:
    """The extension that results of this kind are given; `.nrrd` stays what it is."""
    if thing.kind == "image" and thing.path.lower().endswith(".nrrd"):
        return ".nrrd"
    return {"image": ".nii.gz", "surface": ".vtp", "points": ".csv"}[thing.kind]


def frame(thing: Thing, other: Thing) -> Geometry:
    """The grid that shows what lies in the frame of `thing`: its own, or one around its points.

    other: where it is an image, the grid around points has its voxel size, so that nothing of it is lost.
    """
    if thing.kind == "image":
        return thing.content.geometry
    return around(thing.points(), float(other.content.spacing.mean()) if other.kind == "image" else 2.0)


def around(points: Tensor, spacing: float) -> Geometry:
    """A grid around points, coarser than `spacing` mm where it would have too many voxels to handle."""
    volume = float((points.amax(0) - points.amin(0) + 2 * MARGIN).prod())
    return Geometry.around(points, max(spacing, (volume / MOST_VOXELS) ** (1 / 3)), MARGIN)


def image_frame(image: Image, pull: Transform) -> Geometry:
    """A grid in the frame that `pull` starts from, around the place where the image comes to lie."""
    with torch.no_grad():
        corners = invert_points(pull, image.corners())
    return around(corners, float(image.spacing.mean()))
