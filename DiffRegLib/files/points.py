"""Reading and writing point clouds and landmarks; the suffix says which format."""

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
from DiffRegLib.points.extract import cloud_of
from DiffRegLib.points.options import CloudOptions


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
    elif suffix in SUFFIXES["surface"]:
        cloud = polydata.cloud_of_vertices(surfaces.read_polydata(path), str(path))
    else:
        cloud = PointCloud.plain(_listed_points(path))
    return cloud.check(str(path))


def read_any_points(path: str | Path) -> PointCloud:
    """The cloud of a file with weights and labels, or its mere points where these are no cloud: a few landmarks."""
    try:
        return read_cloud(path)
    except RegistrationError:
        return PointCloud.plain(read_landmarks(path))


def load_cloud(
    path: str | Path, options: CloudOptions | None = None, mask: str | Path | None = None, seed: int = 0
) -> PointCloud:
    """The cloud that is registered of a file of any kind; mask: the file of the lungs of a CT. See `cloud_of`."""
    from DiffRegLib.files.opening import open_file

    within = open_file(mask, ("labels",)).content if mask else None
    return cloud_of(open_file(path).content, options, within, seed, str(path))


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
    elif suffix in SUFFIXES["surface"]:
        points = polydata.vertices(surfaces.read_polydata(path))
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
        surfaces.write_polydata(polydata.from_points(points, {"value": values, "label": labels.astype(np.int32)}), path)
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
    file = Path(split_key(path)[0])
    if not file.is_file():
        raise RegistrationError(f"{file} does not exist or is a folder: check the path.")
    known = (*SUFFIXES["points"], *SUFFIXES["surface"])
    if suffix_of(path) not in known:
        raise RegistrationError(f"{file} is no point file: use one of {', '.join(known)}.")
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
