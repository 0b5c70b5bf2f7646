"""The one way from a file to the cloud that is registered."""

from __future__ import annotations

from pathlib import Path

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image, read_image
from DiffRegLib.options import validate
from DiffRegLib.points.cloud import PointCloud
from DiffRegLib.points.io import read_cloud
from DiffRegLib.points.kinds import Opened, open_kind
from DiffRegLib.points.labels import cloud_from_labels
from DiffRegLib.points.lungs import lung_mask
from DiffRegLib.points.options import CloudOptions
from DiffRegLib.points.surfaces import cloud_from_surface
from DiffRegLib.points.vessels import cloud_from_vessels


def load_cloud(
    path: str | Path,
    options: CloudOptions | None = None,
    mask: Image | str | Path | None = None,
    seed: int = 0,
) -> PointCloud:
    """The cloud of a file of points, a surface, a label map or a CT, in RAS mm, checked.

    mask: the lungs of a CT, an image or its file. Raises `RegistrationError` that names the file where the feature
    cannot be had from it, or the file is unreadable.
    """
    options = validate(options or CloudOptions())
    opened = open_kind(path)
    feature = options.feature
    if feature == "auto":
        feature = {"ct": "vessels", "volume": None}.get(opened.kind, opened.kind)
    if feature is None:
        raise RegistrationError(
            f"{path} is neither points, a surface, a label map nor a CT: segment it and give the label map."
        )
    if feature == "points":
        return _points(path, opened)
    if opened.image is None:
        if feature == "surface" and opened.kind == "surface":
            return cloud_from_surface(opened.polydata, options.points, seed).check(str(path))
        raise RegistrationError(f"{path} holds {_described(opened.kind)} without {feature}: choose another feature.")
    return _cloud_of_image(opened, feature, options, mask, seed, str(path)).check(str(path))


def _points(path: str | Path, opened: Opened) -> PointCloud:
    if opened.image is not None:
        raise RegistrationError(f"{path} is an image and holds no points: choose vessels, labels or surface.")
    return read_cloud(path)


def _cloud_of_image(
    opened: Opened, feature: str, options: CloudOptions, mask: Image | str | Path | None, seed: int, name: str
) -> PointCloud:
    image = opened.image
    if feature == "vessels":
        if opened.kind == "labels":
            raise RegistrationError(f"{name} is a label map, which has no vessels to find: choose labels or surface.")
        lungs = read_image(mask) if isinstance(mask, (str, Path)) else mask
        return cloud_from_vessels(image, lungs, options.points, seed, name)
    if feature == "labels":
        return cloud_from_labels(image, options.points_per_label, seed, options.labels or None, name)
    whole = image if opened.kind == "labels" else lung_mask(image, name)
    together = Image((whole.data > 0).float(), whole.affine)
    return cloud_from_labels(together, options.points, seed, None, name)


def _described(kind: str) -> str:
    return "a surface" if kind == "surface" else kind
