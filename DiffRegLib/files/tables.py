"""Points in tables: .csv with the columns x, y, z (and value, label) and arrays of .npz, both in RAS mm."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import split_key

COLUMNS = ("x", "y", "z", "value", "label")


def read_csv(path: str | Path) -> dict[str, np.ndarray]:
    """The columns x, y, z and, where present, value and label, (N,) float64 each.

    A first line of names may come in any order and with other columns; without one there are three to five columns in
    the order x, y, z, value, label. Separators are comma, semicolon, tab or blank.
    """
    path = Path(path)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise RegistrationError(f"{path} cannot be read ({error.__class__.__name__}): check the file.") from None
    rows = _rows([line for line in lines if line and not line.startswith("#")])
    if not rows:
        raise RegistrationError(f"{path} is empty: give a table with the columns x, y, z in RAS mm.")
    names = [cell.strip().strip('"').lower() for cell in rows[0]]
    if _is_number(names[0]):
        names = list(COLUMNS[: len(names)]) if 3 <= len(names) <= 5 else []
    else:
        rows = rows[1:]
    if not {"x", "y", "z"} <= set(names):
        raise RegistrationError(f"{path} does not have the columns x, y, z: name them so in its first line, in RAS mm.")
    try:
        table = np.array([[float(cell) if n in COLUMNS else 0.0 for n, cell in _paired(names, row)] for row in rows])
    except ValueError:
        raise RegistrationError(
            f"{path} has lines that are not {len(names)} numbers: correct or remove them."
        ) from None
    table = table.reshape(-1, len(names))
    return {name: table[:, names.index(name)] for name in COLUMNS if name in names}


def write_csv(points: np.ndarray, values: np.ndarray, labels: np.ndarray, path: str | Path) -> None:
    """Writes points (N, 3) in RAS mm with value and label (N,) as x,y,z,value,label."""
    table = np.column_stack([np.asarray(points, np.float64), values, labels])
    try:
        np.savetxt(path, table, "%.5f,%.5f,%.5f,%.6g,%d", header=",".join(COLUMNS), comments="", encoding="utf-8")
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({error.__class__.__name__}): choose another.") from None


def read_npz(path: str | Path) -> np.ndarray:
    """(N, 3) float64: the array `key` of `file.npz:key`, or the only array of points of `file.npz`."""
    name, key = split_key(path)
    file = Path(name)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            shapes = {name: arrays[name].shape for name in arrays.files if arrays[name].ndim == 2}
            clouds = [name for name, shape in shapes.items() if shape[1] == 3]
            if not key and len(clouds) == 1:
                key = clouds[0]
            chosen = np.asarray(arrays[key], dtype=np.float64) if key in arrays.files else None
    except OSError as error:
        raise RegistrationError(f"{file} cannot be read ({error.__class__.__name__}): check the file.") from None
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, TypeError):
        raise RegistrationError(f"{file} is no .npz file of plain arrays or is truncated: save it again.") from None
    if chosen is None:
        problem = f"has no array {key!r}" if key else "holds several arrays"
        choices = ", ".join(f"{file.name}:{name}" for name in clouds) or "none of its arrays is (N, 3)"
        raise RegistrationError(f"{file} {problem}: choose one of its point clouds ({choices}).")
    if chosen.ndim != 2 or chosen.shape[1] != 3:
        raise RegistrationError(f"{file}:{key} has the shape {chosen.shape}: give (N, 3) points in RAS mm.")
    return chosen


def _rows(lines: list[str]) -> list[list[str]]:
    separator = next((s for s in (";", "\t", ",") if lines and s in lines[0]), None)
    if separator is None:
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def _paired(names: list[str], row: list[str]) -> list[tuple[str, str]]:
    return list(zip(names, row, strict=True))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
