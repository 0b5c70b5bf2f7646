"""Reading and writing lists of points, clouds and landmarks; the suffix says which format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import markups, surfaces, tables
from DiffRegLib.files.kinds import SUFFIXES, split_key, suffix_of
from DiffRegLib.points import polydata
from DiffRegLib.points.cloud import PointCloud
from DiffRegLib.points.listed import PointList


def read_points(path: str | Path) -> PointList:
    """The points of a .csv, .npz[:key], .mrk.json, .fcsv, .vtk, .vtp, .ply or .stl file, in RAS mm, with their names.

    A .csv may bring weights (value) and labels (label), as may the point data `value` and `label` of a .vtp or .vtk;
    of a surface these are the vertices. Raises `RegistrationError` that names the file: missing, truncated, of another
    format, without the right columns, without points, or with points that are not finite.
    """
    suffix = suffix_of(_existing(path))
    readers = {
        ".csv": tables.read_csv,
        ".npz": tables.read_npz,
        ".mrk.json": markups.read_mrk_json,
        ".fcsv": markups.read_fcsv,
    }
    listed = readers[suffix](path) if suffix in readers else list_of_vertices(surfaces.read_polydata(path), str(path))
    if len(listed) == 0:
        raise RegistrationError(f"{path} has no landmarks: give at least one.", path=path)
    broken = int((~listed.points[listed.placed].isfinite().all(dim=1)).sum())
    if broken:
        raise RegistrationError(
            f"{path} has NaN or infinite coordinates in {broken} of its points: remove them.", path=path
        )
    return listed


def list_of_vertices(mesh: object, name: str) -> PointList:
    """The vertices of a vtkPolyData with the weights and labels of its point data."""
    value, label = polydata.point_array(mesh, "value"), polydata.point_array(mesh, "label")
    if label is not None and not np.array_equal(label, np.round(label)):
        raise RegistrationError(f"{name} has labels that are not whole numbers: correct the array label.", path=name)
    return PointList(
        torch.from_numpy(polydata.vertices(mesh)),
        weights=None if value is None else torch.from_numpy(value).float(),
        labels=None if label is None else torch.from_numpy(label.astype(np.int64)),
    )


def read_landmarks(path: str | Path) -> Tensor:
    """(N, 3) float64 RAS mm, the placed points in the order of the file: any format that `read_points` reads."""
    listed = read_points(path)
    return listed.points[listed.placed]


def write_points(listed: PointList, path: str | Path) -> None:
    """Writes points with what they carry: .csv in RAS mm, .mrk.json or .fcsv, or .vtp, .vtk, .ply for Slicer (LPS).

    Names and descriptions go into the first three, weights and labels into .csv, .vtp and .vtk.
    """
    suffix = suffix_of(path)
    writers = {".csv": tables.write_csv, ".mrk.json": markups.write_mrk_json, ".fcsv": markups.write_fcsv}
    if suffix in writers:
        writers[suffix](listed, path)
    elif suffix in (".vtp", ".vtk", ".ply"):
        surfaces.write_polydata(_as_polydata(listed), path)
    else:
        raise RegistrationError(f"{path} cannot hold points: use .csv, .mrk.json, .fcsv, .vtp, .vtk or .ply.")


def _as_polydata(listed: PointList) -> object:
    kept = listed.select(listed.placed.nonzero()[:, 0])
    arrays = {}
    if kept.weights is not None:
        arrays["value"] = kept.weights.numpy()
    if kept.labels is not None:
        arrays["label"] = kept.labels.numpy().astype(np.int32)
    return polydata.from_points(kept.points.numpy(), arrays)


def write_cloud(cloud: PointCloud, path: str | Path) -> None:
    """Writes points, weights and labels, see `write_points`."""
    points, weights = cloud.points.detach().cpu().double(), cloud.weights.detach().cpu()
    write_points(PointList(points, weights=weights, labels=cloud.values.cpu()), path)


def write_landmarks(points: Tensor, path: str | Path) -> None:
    """Writes landmarks (N, 3) in RAS mm, in their order."""
    write_points(PointList(points.detach().cpu().double()), path)


def _existing(path: str | Path) -> str | Path:
    file = Path(split_key(path)[0])
    if not file.is_file():
        raise RegistrationError(f"{file} does not exist or is a folder: check the path.", path=file)
    known = (*SUFFIXES["points"], *SUFFIXES["surface"])
    if suffix_of(path) not in known:
        raise RegistrationError(f"{file} is no point file: use one of {', '.join(known)}.", path=file)
    if file.stat().st_size == 0:
        raise RegistrationError(f"{file} is empty: save it again.", path=file)
    return path
