"""Points in tables: .csv with named columns, and arrays of .npz; in RAS mm unless the columns are named l, p, s."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import split_key
from DiffRegLib.files.text import read_text
from DiffRegLib.points.listed import PointList

COLUMNS = ("x", "y", "z", "value", "label")
"""In this order where a table has no line of names."""
PLACES = {"xyz": 1.0, "ras": 1.0, "lps": -1.0}
"""Names of the three coordinates, with the sign that makes the first two RAS."""
NAMES = ("label", "name", "landmark", "id")
"""Columns whose texts are the names of the points, the first that there is."""
UNIT = re.compile(r"^(\w+?)[\s_]*[\[(]?\s*\b(mm|cm|m|um|px|pixels?|voxels?)\b\s*[\])]?$")
"""A heading with a unit, such as `x [mm]`."""


def read_csv(path: str | Path) -> PointList:
    """The points of a table, with weights (value), labels (whole numbers in label), names and descriptions.

    A first line of names may come in any order and with other columns, which are kept as text; without one there are
    three to five columns in the order x, y, z, value, label. Coordinates are named x, y, z or r, a, s (RAS) or l, p, s;
    a column `defined` of 0 and 1 says which were placed, as Slicer writes it. Separators are comma, semicolon (numbers
    then may have decimal commas), tab or blank.
    """
    names, rows = read_rows(path)
    if names is None:
        width = len(rows[0])
        names = list(COLUMNS[:width]) if 3 <= width <= 5 else [f"column {n + 1}" for n in range(width)]
    axes = next((axes for axes in PLACES if set(axes) <= set(names)), None)
    if axes is None:
        raise RegistrationError(
            f"{path} does not have the columns x, y, z: name them so in its first line, in RAS mm.", path=path
        )
    table = {name: tuple(row[n] for row in rows) for n, name in reversed(list(enumerate(names)))}
    placed = _placed(table.get("defined"))
    points = np.column_stack([_numbers(table[a], len(names), path, placed) for a in axes])
    points[:, :2] *= PLACES[axes]
    labels = _whole(table.get("label"), path)
    named = next((n for n in NAMES if n in table and not (n == "label" and labels is not None)), None)
    value = _numbers(table["value"], len(names), path) if "value" in table else None
    used = {*axes, "value", "defined", "description", named, "label" if labels is not None else None}
    return PointList(
        torch.from_numpy(points),
        table[named] if named else (),
        table.get("description", ()),
        None if placed is None else torch.from_numpy(placed),
        None if value is None else torch.from_numpy(value).float(),
        None if labels is None else torch.from_numpy(labels),
        {name: table[name] for name in names if name not in used},
    )


def read_columns(path: str | Path, wanted: Sequence[str], what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, len(wanted)) float64 of a table of numbers, and the names of its rows where it has some.

    Columns are found by name, in any order; without a line of names they come in the order of `wanted`. Raises
    `RegistrationError` that says `what` the table should hold.
    """
    names, rows = read_rows(path)
    if names is None:
        names = list(wanted) if len(rows[0]) == len(wanted) else []
    if not set(wanted) <= set(names):
        raise RegistrationError(f"{path} does not hold {len(wanted)} numbers a line: give {what}.", path=path)
    table = {name: tuple(row[n] for row in rows) for n, name in reversed(list(enumerate(names)))}
    try:
        found = np.array([[_number(cell) for cell in table[name]] for name in wanted], np.float64).T
    except ValueError:
        raise RegistrationError(f"{path} has cells that are no numbers: give {what}.", path=path) from None
    if not np.isfinite(found).all():
        raise RegistrationError(f"{path} has numbers that are not finite: give {what}.", path=path)
    named = next((n for n in NAMES if n in table and n not in wanted), None)
    return found, table[named] if named else ()


def read_rows(path: str | Path) -> tuple[list[str] | None, list[list[str]]]:
    """The names of the columns in lower case and without their unit, or None, and the cells of the other lines.

    Raises `RegistrationError` for an empty table, lines of unequal length, and coordinates in another unit than mm.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    rows = _cells([line for line in lines if line and not line.startswith("#")])
    if not rows:
        raise RegistrationError(f"{path} is empty: give a table with the columns x, y, z in RAS mm.", path=path)
    names = None
    if rows[0] in (["0", "1", "2"], ["", "0", "1", "2"]):
        raise RegistrationError(f"{path} has the heading 0, 1, 2: name its columns x, y, z, in RAS mm.", path=path)
    if not any(_is_number(cell) for cell in rows[0]):
        names = [_heading(cell, path) for cell in rows[0]]
        rows = rows[1:]
    if not rows:
        raise RegistrationError(f"{path} has a heading and no lines: give one line a point.", path=path)
    width = len(names or rows[0])
    odd = next((n for n, row in enumerate(rows, 1) if len(row) != width), None)
    if odd:
        raise RegistrationError(
            f"{path} has lines that are not {width} numbers: correct or remove line {odd} of its points.", path=path
        )
    return names, rows


def _heading(cell: str, path: str | Path) -> str:
    name = cell.strip().strip('"').strip().lower()
    match = UNIT.match(name)
    if not match:
        return name
    if match[1] in "xyzraslp" and match[2] != "mm":
        raise RegistrationError(f"{path} has the column {cell.strip()!r}: convert it to RAS mm.", path=path)
    return match[1] if match[2] in ("mm", "px", "pixel", "pixels") else name


def _numbers(cells: tuple[str, ...], width: int, path: str | Path, placed: np.ndarray | None = None) -> np.ndarray:
    try:
        return np.array([_number(c) if placed is None or placed[n] else _or_nan(c) for n, c in enumerate(cells)])
    except ValueError:
        raise RegistrationError(
            f"{path} has lines that are not {width} numbers: correct or remove them.", path=path
        ) from None


def _or_nan(cell: str) -> float:
    return _number(cell) if _is_number(cell) else float("nan")


def _placed(cells: tuple[str, ...] | None) -> np.ndarray | None:
    """(N,) bool of a column `defined`, or None where there is none."""
    return None if cells is None else np.array([c.strip().lower() in ("1", "true", "yes", "defined") for c in cells])


def _whole(cells: tuple[str, ...] | None, path: str | Path) -> np.ndarray | None:
    """(N,) int64 of a column of labels, or None where it holds texts: names."""
    if cells is None or not all(_is_number(cell) for cell in cells):
        return None
    values = np.array([_number(cell) for cell in cells])
    if not np.array_equal(values, np.round(values)):
        raise RegistrationError(f"{path} has labels that are not whole numbers: correct the column label.", path=path)
    return values.astype(np.int64)


def write_csv(listed: PointList, path: str | Path) -> None:
    """Writes the placed points in RAS mm as x,y,z with value, label, name, description and other columns, if any."""
    kept = listed.select(listed.placed.nonzero()[:, 0])
    table = {axis: [f"{v:.5f}" for v in kept.points[:, n].tolist()] for n, axis in enumerate("xyz")}
    if kept.weights is not None:
        table["value"] = [f"{v:.6g}" for v in kept.weights.tolist()]
    if kept.labels is not None:
        table["label"] = [str(v) for v in kept.labels.tolist()]
    if kept.names:
        table["name" if "label" in table else "label"] = list(kept.names)
    if any(kept.descriptions):
        table["description"] = list(kept.descriptions)
    table |= {name: list(cells) for name, cells in kept.columns.items() if name not in table}
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table)
            writer.writerows(zip(*table.values()))
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({type(error).__name__}): choose another.") from None


def read_npz(path: str | Path) -> PointList:
    """The array `key` of `file.npz:key`, or the only array of points of `file.npz`, (N, 3) RAS mm."""
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
    return PointList(torch.from_numpy(np.ascontiguousarray(chosen)))


def _cells(lines: list[str]) -> list[list[str]]:
    separator = next((s for s in (";", "\t", ",") if lines and s in lines[0]), None)
    if separator is None:
        return [line.split() for line in lines]
    return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]


def _number(cell: str) -> float:
    """A number, with a decimal comma where there is no point."""
    return float(cell.replace(",", ".") if "." not in cell else cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True
