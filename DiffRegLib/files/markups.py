"""Landmarks and point lists of 3D Slicer: .mrk.json and the older .fcsv, both LPS or RAS inside, RAS mm outside."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.text import read_text
from DiffRegLib.points.listed import PointList

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
LPS = np.array([-1.0, -1.0, 1.0])
FCSV = ("id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc", "associatednodeid")
"""The columns of a .fcsv file of Slicer 4 and 5."""
DEFINED = 2
"""The status of a point that was placed; 0 is undefined, 1 a preview, 3 missing."""


def read_mrk_json(path: str | Path) -> PointList:
    """The control points of all lists in a .mrk.json file; those that were skipped or not placed are not `defined`.

    A list without `coordinateSystem` is LPS and one without `coordinateUnits` is in mm, as in Slicer; one that states
    another unit is refused, because Slicer would show it in mm all the same.
    """
    text = read_text(path)
    try:
        lists = json.loads(text)["markups"]
        units = {_unit(entry) for entry in lists} - {"mm"}
        controls = [(point, _signs(entry, path)) for entry in lists for point in entry["controlPoints"]]
        placed = [_is_placed(point) for point, _ in controls]
        points = [
            np.asarray(point["position"], np.float64) * signs if there else np.full(3, np.nan)
            for (point, signs), there in zip(controls, placed)
        ]
        array = np.array(points, np.float64).reshape(-1, 3)
        names, descriptions = (tuple(str(p.get(key) or "") for p, _ in controls) for key in ("label", "description"))
    except RegistrationError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RegistrationError(
            f"{path} is no markups file of Slicer or is truncated: save it again.", path=path
        ) from None
    if units:
        raise RegistrationError(f"{path} states the unit {units.pop()}: convert it to mm.", path=path)
    return _listed(array, placed, names, descriptions, path)


def read_fcsv(path: str | Path) -> PointList:
    """The points of a .fcsv file with their labels, descriptions and status.

    `# CoordinateSystem` is LPS or 1, RAS or 0; a file with a version but no coordinate system is LPS, one without a
    version (Slicer 3) is RAS. `# columns` says in which order the columns stand; behind the last stands the status.
    """
    lines = read_text(path).splitlines()
    header = [line for line in lines if line.startswith("#")]
    rows = list(csv.reader(line for line in lines if line.strip() and not line.startswith("#")))
    columns = _columns(header)
    try:
        placed = [_status(row, columns) for row in rows]
        at = [columns.index(axis) for axis in "xyz"]
        array = np.array([[float(row[n]) for n in at] if there else [np.nan] * 3 for row, there in zip(rows, placed)])
        names, descriptions = (_texts(rows, columns, key) for key in ("label", "desc"))
    except (ValueError, IndexError):
        raise RegistrationError(
            f"{path} is no point list of Slicer or is truncated: save it again.", path=path
        ) from None
    signs = LPS if _fcsv_system(header, path) == "LPS" else 1.0
    return _listed(array.reshape(-1, 3) * signs, placed, names, descriptions, path)


def _listed(points: np.ndarray, placed: list[bool], names: tuple, descriptions: tuple, path: str | Path) -> PointList:
    if not any(placed):
        raise RegistrationError(f"{path} has no placed control points: place some and save it again.", path=path)
    return PointList(
        torch.from_numpy(points),
        names if any(names) else (),
        descriptions if any(descriptions) else (),
        None if all(placed) else torch.tensor(placed),
    )


def write_mrk_json(listed: PointList, path: str | Path) -> None:
    """Writes points with their names, descriptions and status as a Slicer point list (LPS in the file, and stated)."""
    names = listed.names or tuple(str(n + 1) for n in range(len(listed)))
    descriptions = listed.descriptions or ("",) * len(listed)
    controls = [
        {
            "id": str(n + 1),
            "label": name,
            "description": description,
            "position": (LPS * np.array(point)).tolist() if there else [0.0, 0.0, 0.0],
            "positionStatus": "defined" if there else "undefined",
        }
        for n, (name, description, point, there) in enumerate(
            zip(names, descriptions, listed.points.tolist(), listed.placed.tolist())
        )
    ]
    entry = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "controlPoints": controls,
    }
    _write(json.dumps({"@schema": SCHEMA, "markups": [entry]}, indent=1, ensure_ascii=False), path)


def write_fcsv(listed: PointList, path: str | Path) -> None:
    """Writes points as `write_mrk_json` does, in the older format of Slicer."""
    names = listed.names or tuple(str(n + 1) for n in range(len(listed)))
    descriptions = listed.descriptions or ("",) * len(listed)
    text = io.StringIO()
    text.write("# Markups fiducial file version = 5.6\n# CoordinateSystem = LPS\n# columns = " + ",".join(FCSV) + "\n")
    writer = csv.writer(text, lineterminator="\n")
    for n, (point, there) in enumerate(zip(listed.points.tolist(), listed.placed.tolist())):
        place = (LPS * np.array(point)).tolist() if there else [0.0, 0.0, 0.0]
        seen = [0.0, 0.0, 0.0, 1.0, 1, 1, 0]
        writer.writerow([n + 1, *place, *seen, names[n], descriptions[n], "", DEFINED if there else 0, 0])
    _write(text.getvalue(), path)


def _write(text: str, path: str | Path) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({error.__class__.__name__}): choose another.") from None


def _is_placed(point: dict) -> bool:
    return point.get("positionStatus", "defined") == "defined" and point.get("position") is not None


def _signs(entry: dict, path: str | Path) -> np.ndarray:
    system = str(entry.get("coordinateSystem", "LPS"))
    if system not in ("RAS", "LPS", "0", "1"):
        raise RegistrationError(f"{path} has the coordinate system {system!r}: save it as RAS or LPS in mm.", path=path)
    return np.ones(3) if system in ("RAS", "0") else LPS


def _columns(header: list[str]) -> list[str]:
    """The names of the columns, in lower case."""
    stated = next((line.split("=", 1)[1] for line in header if "columns" in line and "=" in line), ",".join(FCSV))
    names = [name.strip().lower() for name in stated.split(",")]
    return names if {"x", "y", "z"} <= set(names) else list(FCSV)


def _status(row: list[str], columns: list[str]) -> bool:
    """Whether a point was placed: the status stands behind the named columns, as Slicer writes it."""
    return len(row) <= len(columns) or int(row[len(columns)]) == DEFINED


def _texts(rows: list[list[str]], columns: list[str], key: str) -> tuple[str, ...]:
    at = columns.index(key) if key in columns else len(columns)
    return tuple(row[at].strip() if at < min(len(row), len(columns)) else "" for row in rows)


def _unit(entry: dict) -> str:
    stated = entry.get("coordinateUnits") or "mm"  # or [code, coding scheme, meaning]
    return str(stated[0] if isinstance(stated, list) else stated)


def _fcsv_system(header: list[str], path: Path) -> str:
    stated = [line.split("=")[1].strip() for line in header if "CoordinateSystem" in line and "=" in line]
    if not stated:
        return "LPS" if any("version" in line for line in header) else "RAS"
    if stated[0] not in ("LPS", "RAS", "0", "1"):
        raise RegistrationError(f"{path} has the coordinate system {stated[0]!r}: save it as RAS or LPS in mm.")
    return "LPS" if stated[0] in ("LPS", "1") else "RAS"
