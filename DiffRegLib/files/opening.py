"""A path becomes a thing: read once, passed on with what the file says of it, and written back in its own kind."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import images
from DiffRegLib.files.fields import read_both
from DiffRegLib.files.kinds import SUFFIXES, Kind, accepted_as, kind_of, suffix_of
from DiffRegLib.files.segments import Segment, has_air
from DiffRegLib.files.stored import Stored
from DiffRegLib.points.polydata import triangles, vertices
from DiffRegLib.transforms import Transform
from DiffRegLib.transforms.io import read_itk_transform

TRANSFORM, INVERSE = "transform.h5", "inverse.h5"
"""The files of a result folder."""


@dataclass(frozen=True, eq=False)
class Opened:
    """The content of a file in RAS mm, and what its header says.

    content: an `Image` (float32 for "image", integers and a channel a layer for "labels"), a `PointList` ("points"), a
        vtkPolyData ("surface"), a `Transform` (its `inverse` too, where a result holds both); None for what its reader
        takes by path ("xray", "geometry", "weights").
    dtype: of the voxels in the file, by which they are written back. segments: of a segmentation.
    evidence: by which an image holds labels or not.
    hounsfield: of an image, whether it has the air of a CT.
    """

    path: str
    kind: Kind
    content: Any = None
    dtype: str = "float32"
    segments: tuple[Segment, ...] = ()
    evidence: images.Evidence = "file"
    hounsfield: bool = False
    inverse: Transform | None = None
    notes: tuple[str, ...] = ()

    @property
    def guess(self) -> str:
        """What a person has to be told of an image whose file does not say what its whole numbers are, else ""."""
        if self.evidence != "content":
            return ""
        what = "a label map" if self.kind == "labels" else "an image, linear between its voxels"
        return f"{self.path} does not say whether its whole numbers are labels: by their look it is taken for {what}."

    def points(self) -> Tensor:
        """(N, 3) float64 RAS mm: those of a cloud, the vertices of a surface, the corners of the box of an image."""
        if self.kind in ("image", "labels"):
            return self.content.corners()
        if self.kind == "surface":
            return torch.from_numpy(vertices(self.content))
        return self.content.points[self.content.placed]

    def at(self, content: Any) -> Opened:
        """The same thing elsewhere, for instance warped."""
        return replace(self, content=content)


def open_file(path: str | os.PathLike, kinds: Iterable[Kind] = (), labels: bool | None = None) -> Opened:
    """Reads a file or folder once.

    kinds: what it may be, all by default; where labels are wanted and no image, whole numbers are taken for them.
    labels: whether the voxels are labels, where the user says so. Raises `RegistrationError` that names the file:
    missing, unreadable, or of none of these kinds.
    """
    path, kinds = os.fspath(path), tuple(kinds)
    kind = accepted_as(path, kinds) if kinds else kind_of(path)
    if kind is None:
        raise RegistrationError(f"{path} is a {kind_of(path)}: give {' or '.join(kinds)}.")
    if kind in ("image", "labels") and kinds and not {"image", "labels"} <= set(kinds):
        labels = kind == "labels"
    if kind in ("image", "labels"):
        return _volume(path, labels)
    readers = {"surface": _surface, "points": _points, "transform": _transform, "result": _transform}
    return readers[kind](path) if kind in readers else Opened(path, kind)


def _volume(path: str, given: bool | None) -> Opened:
    stored = images.read_stored(path)
    labels, evidence = images.is_labels(stored, given)
    if labels:
        content = images.whole_numbers(stored, path)
        return Opened(path, "labels", content, _voxel_type(stored), stored.segments, evidence, notes=stored.notes)
    air = has_air(stored.data)
    content = images.intensities(stored, path)
    return Opened(path, "image", content, _voxel_type(stored), (), evidence, air, notes=stored.notes)


def _surface(path: str) -> Opened:
    """A mesh; a surface file without faces is a list of points."""
    from DiffRegLib.files.points import list_of_vertices
    from DiffRegLib.files.surfaces import read_polydata

    mesh = read_polydata(path)
    if len(triangles(mesh)):
        return Opened(path, "surface", mesh)
    return Opened(path, "points", list_of_vertices(mesh, path))


def _points(path: str) -> Opened:
    from DiffRegLib.files.points import read_points

    return Opened(path, "points", read_points(path))


def _transform(path: str) -> Opened:
    folder = Path(path)
    if folder.is_dir():
        return Opened(
            path, "transform", read_itk_transform(folder / TRANSFORM), inverse=read_itk_transform(folder / INVERSE)
        )
    transform, inverse = read_both(path)
    return Opened(path, "transform", transform, inverse=inverse)


def _voxel_type(stored: Stored) -> str:
    """The type of the voxels in the file; of whole numbers that were rescaled, the smallest that holds them."""
    if not np.issubdtype(stored.data.dtype, np.floating):
        return stored.data.dtype.name
    low, high = float(stored.data.min()), float(stored.data.max())
    if not stored.rescaled or not bool((stored.data == np.rint(stored.data)).all()):
        return "float32"
    fitting = (("uint8", 0, 255), ("int16", -(2**15), 2**15 - 1), ("int32", -(2**31), 2**31 - 1))
    return next((name for name, least, most in fitting if least <= low and high <= most), "float32")


def write(thing: Opened, path: str | os.PathLike) -> None:
    """Writes it in the kind of its input, voxels in their type; `.nrrd` is not compressed, for whom speed counts."""
    from DiffRegLib.files.points import write_points
    from DiffRegLib.files.surfaces import write_polydata

    if thing.segments and suffix_of(path) in (".nrrd", ".nhdr"):
        images.write_segmentation(thing.content, thing.segments, path, thing.dtype)
    elif thing.kind in ("image", "labels"):
        _check_layers(thing, path)
        images.write_image(thing.content, path, thing.dtype, compress=suffix_of(path) != ".nrrd")
    elif thing.kind == "surface":
        write_polydata(thing.content, path)
    elif thing.kind == "points":
        write_points(thing.content, path)
    else:
        raise RegistrationError(f"{thing.path} is a {thing.kind} and cannot be written: give an image or points.")


def _check_layers(thing: Opened, path: str | os.PathLike) -> None:
    if thing.kind == "labels" and thing.content.channels > 1:
        raise RegistrationError(
            f"{path} cannot hold the overlapping segments of {thing.path}: name the output .seg.nrrd.", path=path
        )


def suffix_for(thing: Opened) -> str:
    """The suffix that results of this kind are given; `.nrrd` stays what it is."""
    if thing.kind in ("image", "labels") and thing.path.lower().endswith(".nrrd"):
        return ".nrrd"
    return {"surface": ".vtp", "points": ".csv"}.get(thing.kind, SUFFIXES["image"][1])
