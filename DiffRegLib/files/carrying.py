"""A thing in the frame of the other side: images are sampled there, points and meshes are moved there."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from DiffRegLib.files.opening import Opened
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.points.listed import PointList
from DiffRegLib.points.polydata import with_vertices
from DiffRegLib.transforms import Transform, invert_points

MOST_VOXELS = 2**24
MARGIN = 10.0  # mm around a cloud, where it alone defines a grid


def carry(
    thing: Opened,
    pull: Transform,
    push: Transform | None,
    like: Geometry | Image | None,
    mode: Literal["linear", "nearest"] | None = None,
) -> Opened:
    """The thing in the other frame.

    pull: from the other frame to the thing's own: images are sampled through it on the grid `like`. push: its inverse,
    which moves points; where there is none, `pull` is inverted at the points. mode: by default nearest for labels.
    """
    if isinstance(thing.content, Image):
        grid = like if like is not None else image_frame(thing.content, pull)
        labels = thing.kind == "labels"
        outside = 0.0 if labels else min(0.0, float(thing.content.data.min()))
        return thing.at(thing.content.resample(grid, pull, mode or ("nearest" if labels else "linear"), outside))
    points = thing.points()
    with torch.no_grad():
        moved = (push(points) if push is not None else invert_points(pull, points)).double()
    if isinstance(thing.content, PointList):
        places = thing.content.points.clone()
        places[thing.content.placed] = moved
        return thing.at(thing.content.at(places))
    return thing.at(with_vertices(thing.content, moved.numpy()))


def frame(thing: Opened, other: Opened) -> Geometry:
    """The grid that shows what lies in the frame of `thing`: its own, or one around its points.

    other: where it is an image, the grid around points has its voxel size, so that nothing of it is lost.
    """
    if isinstance(thing.content, Image):
        return thing.content.geometry
    return around(thing.points(), float(other.content.spacing.mean()) if isinstance(other.content, Image) else 2.0)


def around(points: Tensor, spacing: float) -> Geometry:
    """A grid around points, coarser than `spacing` mm where it would have too many voxels to handle."""
    volume = float((points.amax(0) - points.amin(0) + 2 * MARGIN).prod())
    return Geometry.around(points, max(spacing, (volume / MOST_VOXELS) ** (1 / 3)), MARGIN)


def image_frame(image: Image, pull: Transform) -> Geometry:
    """A grid in the frame that `pull` starts from, around the place where the image comes to lie."""
    with torch.no_grad():
        corners = invert_points(pull, image.corners())
    return around(corners, float(image.spacing.mean()))
