"""What a file holds: points, a surface, a label map, a CT or another volume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from DiffRegLib.image import Image, read_image
from DiffRegLib.points import polydata
from DiffRegLib.points.io import POINT_SUFFIXES, suffix_of

Kind = Literal["points", "surface", "labels", "ct", "volume"]

AIR = -500.0  # HU
SHARE_OF_AIR = 0.005
MOST_LABELS = 1000
EVEN = 0.4  # share of neighbors of equal value among labeled voxels; a scan stays far below it, a label map above


@dataclass(frozen=True)
class Opened:
    """A file that was read: its kind, and its image or its vtkPolyData in RAS mm (None for points)."""

    kind: Kind
    image: Image | None = None
    polydata: Any = None


def open_kind(path: str | Path) -> Opened:
    """Reads a file as far as needed to tell its kind.

    A surface file without faces is points. Raises `RegistrationError` for a missing or unreadable file.
    """
    suffix = suffix_of(path)
    if suffix in POINT_SUFFIXES:
        return Opened("points")
    if suffix in polydata.SUFFIXES:
        data = polydata.read_polydata(path)
        return Opened("surface" if len(polydata.triangles(data)) else "points", polydata=data)
    image = read_image(path)
    return Opened(kind_of_image(image), image=image)


def kind_of(path: str | Path) -> Kind:
    """The kind of a file; see `open_kind`."""
    return open_kind(path).kind


def kind_of_image(image: Image) -> Literal["labels", "ct", "volume"]:
    """labels: whole numbers from 0 in flat regions; ct: one channel with air below -500 HU; volume: anything else."""
    if image.channels != 1:
        return "volume"
    if _is_label_map(image.data[0]):
        return "labels"
    return "ct" if float((image.data < AIR).float().mean()) > SHARE_OF_AIR else "volume"


def _is_label_map(data: torch.Tensor) -> bool:
    if not bool(torch.isfinite(data).all()) or float(data.min()) < 0 or not bool((data == data.round()).all()):
        return False
    labeled = data > 0
    if not bool(labeled.any()):
        return True
    if len(torch.unique(data)) > MOST_LABELS:
        return False
    first, second = data[..., :-1], data[..., 1:]
    either = labeled[..., :-1] | labeled[..., 1:]
    return float((first == second)[either].float().mean()) > EVEN if bool(either.any()) else True
