"""The one way from what was opened to the cloud that is registered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.options import validate
from DiffRegLib.points.cloud import PointCloud
from DiffRegLib.points.labels import cloud_from_labels
from DiffRegLib.points.listed import PointList
from DiffRegLib.points.lungs import AIR, lung_mask
from DiffRegLib.points.options import CloudOptions
from DiffRegLib.points.polydata import vertices
from DiffRegLib.points.surfaces import cloud_from_surface
from DiffRegLib.points.thick import cloud_from_lungs, is_thick
from DiffRegLib.points.vessels import cloud_from_vessels
from DiffRegLib.points.voxels import cloud_from_voxels

SHARE_OF_AIR = 0.005


def cloud_of(
    content: Image | PointList | PointCloud | Any,
    options: CloudOptions | None = None,
    mask: Image | None = None,
    seed: int = 0,
    name: str = "the input",
) -> PointCloud:
    """The cloud of points, of a surface (vtkPolyData), of a label map (an `Image` of integers) or of a CT, checked.

    All in RAS mm. mask: the lungs of a CT, anything above 0. Raises `RegistrationError` that names the input where the
    feature cannot be had from it.
    """
    options = validate(options or CloudOptions())
    if isinstance(content, Image):
        return _of_image(content, options, mask, seed, name).check(name)
    if isinstance(content, PointList):
        content = content.cloud()
    points = isinstance(content, PointCloud)
    feature = options.feature
    if feature == "points" or (feature == "auto" and points):
        return (content if points else PointCloud.plain(vertices(content))).check(name)
    if feature in ("auto", "surface") and not points:
        return cloud_from_surface(content, options.points, seed, name).check(name)
    raise RegistrationError(
        f"{name} holds {'points' if points else 'a surface'} without {feature}: choose another feature."
    )


def options_of_pair(fixed: Any, moving: Any, options: CloudOptions) -> CloudOptions:
    """The options for both sides: two CTs of which one has thick slices are both taken by lungs and larger vessels."""
    scans = [x for x in (fixed, moving) if isinstance(x, Image) and x.data.is_floating_point()]
    if options.feature != "auto" or len(scans) < 2 or not any(map(is_thick, scans)):
        return options
    return replace(options, feature="lungs")


def _of_image(image: Image, options: CloudOptions, mask: Image | None, seed: int, name: str) -> PointCloud:
    labels = not image.data.is_floating_point()
    feature = options.feature if options.feature != "auto" else _feature_of(image, labels, name)
    if feature == "points":
        raise RegistrationError(f"{name} is an image and holds no points: choose vessels, labels or surface.")
    if feature == "voxels":
        if labels:
            raise RegistrationError(f"{name} is a label map, whose values are names: choose labels or surface.")
        return cloud_from_voxels(image, options.points, mask, name)
    if feature == "vessels":
        if labels:
            raise RegistrationError(f"{name} is a label map, which has no vessels to find: choose labels or surface.")
        return cloud_from_vessels(image, mask, options.points, seed, name)
    if feature == "lungs":
        if labels:
            raise RegistrationError(f"{name} is a label map and shows no vessels: choose labels or surface.")
        return cloud_from_lungs(image, mask, options.points, seed, name)
    if feature == "labels":
        return cloud_from_labels(image, options.points_per_label, seed, options.labels or None, name)
    whole = image.data.amax(0, keepdim=True) if labels else lung_mask(image, name).data
    return cloud_from_labels(Image((whole > 0).int(), image.affine), options.points, seed, None, name)


def _feature_of(image: Image, labels: bool, name: str) -> str:
    if labels:
        return "labels"
    if image.channels != 1 or float((image.data < AIR).float().mean()) <= SHARE_OF_AIR:
        raise RegistrationError(
            f"{name} is neither points, a surface, a label map nor a CT: segment it and give the label map."
        )
    return "vessels"
