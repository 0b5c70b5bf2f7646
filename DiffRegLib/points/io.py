"""Reading and writing point clouds and landmarks; the suffix says which format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.points import markups, polydata, tables
from DiffRegLib.points.cloud import PointCloud

POINT_SUFFIXES = (".csv", ".npz", ".fcsv", ".mrk.json")
SUFFIXES = (*POINT_SUFFIXES, *polydata.SUFFIXES)


def suffix_of(path: str | Path) -> str:
    """The lower-case suffix of a path: `.mrk.json`, `.nii.gz`, `.npz` (a key behind it is left out), `.csv`, ..."""
    name = tables.split_key(path)[0].name.lower()
    double = next((s for s in (".mrk.json", ".nii.gz") if name.endswith(s)), None)
    return double or Path(name).suffix


def read_cloud(path: str | Path) -> PointCloud:
    """The points of a .csv, .npz[:key], .mrk.json, .fcsv, .vtk, .vtp, .ply or .stl file, in RAS mm, checked.

    A .csv may bring weights (value) and labels (label), as may the point data `value` and `label` of a .vtp or .vtk;
    of a surface these are the vertices. Raises `RegistrationError` that names the file: missing, truncated, of another
    format, without the right columns, or with points that `PointCloud.check` refuses.
    """
    path = _existing(path)
    suffix = suffix_of(path)
    if suffix == ".csv":
        table = tables.read_csv(path)
        cloud = _cloud(np.column_stack([table[c] for c in "xyz"]), table.get("value"), table.get("label"), str(path))
    elif suffix in polydata.SUFFIXES:
        data = polydata.read_polydata(path)
        value, label = polydata.point_array(data, "value"), polydata.point_array(data, "label")
        cloud = _cloud(polydata.vertices(data), value, label, str(path))
    else:
        cloud = PointCloud.plain(_listed_points(path))
    return cloud.check(str(path))


def read_points(path: str | Path) -> Tensor:
    """(N, 3) float32 RAS mm of any file that `read_cloud` reads."""
    return read_cloud(path).points


def read_landmarks(path: str | Path) -> Tensor:
    """(N, 3) float64 RAS mm, one or more landmarks in the order of the file: any format that `read_cloud` reads."""
    path = _existing(path)
    suffix = suffix_of(path)
    if suffix == ".csv":
        table = tables.read_csv(path)
        points = np.column_stack([table[c] for c in "xyz"])
    elif suffix in polydata.SUFFIXES:
        points = polydata.vertices(polydata.read_polydata(path))
    else:
        points = _listed_points(path)
    if len(points) == 0:
        raise RegistrationError(f"{path} has no landmarks: give at least one.")
    if not np.isfinite(points).all():
        raise RegistrationError(f"{path} has NaN or infinite landmarks: remove them here and in the other list.")
    return torch.from_numpy(np.ascontiguousarray(points))


def write_cloud(cloud: PointCloud, path: str | Path) -> None:
    """Writes points, weights and labels: .csv in RAS mm, or .vtp, .vtk, .ply for Slicer (LPS, stated in the file)."""
    points = cloud.points.detach().cpu().numpy().astype(np.float64)
    values, labels = cloud.weights.detach().cpu().numpy(), cloud.values.cpu().numpy()
    suffix = suffix_of(path)
    if suffix == ".csv":
        tables.write_csv(points, values, labels, path)
    elif suffix in (".vtp", ".vtk", ".ply"):
        polydata.write_polydata(polydata.from_points(points, {"value": values, "label": labels.astype(np.int32)}), path)
    elif suffix == ".mrk.json":
        markups.write_mrk_json(points, path)
    else:
        raise RegistrationError(f"{path} cannot hold a point cloud: use .csv, .vtp, .vtk, .ply or .mrk.json.")


def write_landmarks(points: Tensor, path: str | Path) -> None:
    """Writes landmarks (N, 3) in RAS mm, in their order, as .mrk.json or .csv."""
    array = points.detach().cpu().numpy().astype(np.float64)
    suffix = suffix_of(path)
    if suffix == ".mrk.json":
        markups.write_mrk_json(array, path)
    elif suffix == ".csv":
        tables.write_csv(array, np.ones(len(array)), np.ones(len(array)), path)
    else:
        raise RegistrationError(f"{path} cannot hold landmarks: use .mrk.json or .csv.")


def _existing(path: str | Path) -> str | Path:
    file = tables.split_key(path)[0]
    if not file.is_file():
        raise RegistrationError(f"{file} does not exist or is a folder: check the path.")
    if suffix_of(path) not in SUFFIXES:
        raise RegistrationError(f"{file} is no point file: use one of {', '.join(SUFFIXES)}.")
    if file.stat().st_size == 0:
        raise RegistrationError(f"{file} is empty: save it again.")
    return path


def _listed_points(path: str | Path) -> np.ndarray:
    readers = {".npz": tables.read_npz, ".mrk.json": markups.read_mrk_json, ".fcsv": markups.read_fcsv}
    return readers[suffix_of(path)](path)


def _cloud(points: np.ndarray, value: np.ndarray | None, label: np.ndarray | None, name: str) -> PointCloud:
    if label is None:
        return PointCloud.plain(points, value)
    if not np.array_equal(label, np.round(label)):
        raise RegistrationError(f"{name} has labels that are not whole numbers: correct the column label.")
    return PointCloud.labeled(points, label, value)
