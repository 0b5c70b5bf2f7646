"""Landmarks and point lists of 3D Slicer: .mrk.json and the older .fcsv, both LPS or RAS inside, RAS mm outside."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from DiffRegLib.errors import RegistrationError

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
LPS = np.array([-1.0, -1.0, 1.0])


def read_mrk_json(path: str | Path) -> np.ndarray:
    """(N, 3) float64 RAS mm: the defined control points of all lists in a .mrk.json file.

    A list without `coordinateSystem` is LPS and one without `coordinateUnits` is in mm, as in Slicer; one that states
    another unit is refused, because Slicer would show it in mm all the same.
    """
    path = Path(path)
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))["markups"]
        units = {_unit(entry) for entry in lists} - {"mm"}
        parts = [_control_points(entry) for entry in lists]
        points = np.concatenate(parts) if parts else np.zeros((0, 3))
    except (OSError, UnicodeDecodeError) as error:
        raise RegistrationError(f"{path} cannot be read ({error.__class__.__name__}): check the file.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RegistrationError(f"{path} is no markups file of Slicer or is truncated: save it again.") from None
    if units:
        raise RegistrationError(f"{path} states the unit {units.pop()}: convert it to mm.")
    if len(points) == 0:
        raise RegistrationError(f"{path} has no placed control points: place some and save it again.")
    return points


def read_fcsv(path: str | Path) -> np.ndarray:
    """(N, 3) float64 RAS mm: the points of a .fcsv file.

    `# CoordinateSystem` is LPS or 1, RAS or 0; a file with a version but no coordinate system is LPS, one without a
    version (Slicer 3) is RAS.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        header = [line for line in lines if line.startswith("#")]
        rows = list(csv.reader(line for line in lines if line.strip() and not line.startswith("#")))
        points = np.array([[float(value) for value in row[1:4]] for row in rows], dtype=np.float64).reshape(-1, 3)
    except OSError as error:
        raise RegistrationError(f"{path} cannot be read ({error.__class__.__name__}): check the file.") from None
    except (ValueError, UnicodeDecodeError):
        raise RegistrationError(f"{path} is no point list of Slicer or is truncated: save it again.") from None
    if len(points) == 0:
        raise RegistrationError(f"{path} has no points: place some and save it again.")
    return points * (LPS if _fcsv_system(header, path) == "LPS" else 1.0)


def write_mrk_json(points: np.ndarray, path: str | Path, labels: list[str] | None = None) -> None:
    """Writes (N, 3) points in RAS mm as a Slicer point list (LPS in the file, and stated there)."""
    labels = labels or [str(i + 1) for i in range(len(points))]
    control_points = [
        {"id": str(i + 1), "label": label, "position": (LPS * p).tolist(), "positionStatus": "defined"}
        for i, (label, p) in enumerate(zip(labels, np.asarray(points, dtype=np.float64), strict=True))
    ]
    entry = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "controlPoints": control_points,
    }
    try:
        Path(path).write_text(json.dumps({"@schema": SCHEMA, "markups": [entry]}, indent=1), encoding="utf-8")
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({error.__class__.__name__}): choose another.") from None


def _control_points(entry: dict) -> np.ndarray:
    system = str(entry.get("coordinateSystem", "LPS"))
    signs = np.ones(3) if system in ("RAS", "0") else LPS
    placed = [
        point["position"]
        for point in entry["controlPoints"]
        if point.get("positionStatus", "defined") == "defined" and point.get("position") is not None
    ]
    return np.array(placed, dtype=np.float64).reshape(-1, 3) * signs


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
