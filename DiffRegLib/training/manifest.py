"""The list of what a training learns from: a .csv with one pair a line, checked as a whole before anything is read."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import Kind, check_input, split_key
from DiffRegLib.files.text import read_text

REQUIRED = ("fixed", "moving")
EXTRAS: dict[str, Kind] = {"labels": "labels", "landmarks": "points"}
SPLITS = ("train", "validation", "test")
COLUMNS = (*REQUIRED, *(f"{side}_{extra}" for extra in EXTRAS for side in REQUIRED), "split")


@dataclass(frozen=True)
class Listed:
    """One line: paths of both sides, "" for what is not given; split: train, validation or test."""

    fixed: str
    moving: str
    fixed_labels: str = ""
    moving_labels: str = ""
    fixed_landmarks: str = ""
    moving_landmarks: str = ""
    split: str = "train"


def read_manifest(path: str | Path, kinds: Iterable[Kind]) -> list[Listed]:
    """The pairs of a table with the columns fixed, moving, and where wanted fixed_labels, moving_labels,
    fixed_landmarks, moving_landmarks, split.

    kinds: what fixed and moving may be. Paths are relative to the table. Raises RegistrationError with the number of
    the line for files that are missing, unreadable or of another kind, for labels and landmarks of one side alone, and
    for a file that is learned from and measured on.
    """
    rows = list(csv.reader(io.StringIO(read_text(path)), skipinitialspace=True))
    names = [name.strip().lower() for name in rows[0]] if rows else []
    unknown = sorted(set(names) - set(COLUMNS))
    if not set(REQUIRED) <= set(names) or unknown:
        told = f"has the columns {', '.join(unknown)}" if unknown else "does not have the columns fixed and moving"
        raise RegistrationError(f"{path} {told}: name them {', '.join(COLUMNS)}.", path=path)
    kinds, listed = tuple(kinds), []
    for number, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row):
            listed.append(_line(dict(zip(names, (cell.strip() for cell in row))), number, path, kinds))
    _check_splits(listed, path)
    return listed


def of_split(listed: Iterable[Listed], split: str) -> list[Listed]:
    """The lines of a split."""
    return [line for line in listed if line.split == split]


def _line(cells: dict[str, str], number: int, path: str | Path, kinds: tuple[Kind, ...]) -> Listed:
    where = f"line {number} of {path}"
    split = cells.get("split") or "train"
    if split not in SPLITS:
        raise RegistrationError(f"{where} has the split {split!r}: choose one of {', '.join(SPLITS)}.", path=path)
    found = {"split": split}
    for name in COLUMNS[:-1]:
        given = cells.get(name, "")
        if given:
            kind = EXTRAS.get(name.rpartition("_")[2])
            full = os.path.join(Path(path).parent, given)
            found[name] = check_input(full, (kind,) if kind else kinds, f"{name} in {where}")
    for name in REQUIRED:
        if name not in found:
            raise RegistrationError(f"{where} has no {name}: fill it in, or remove the line.", path=path)
    for extra in EXTRAS:
        if (f"fixed_{extra}" in found) != (f"moving_{extra}" in found):
            raise RegistrationError(f"{where} has {extra} of one side alone: give both, or none.", path=path)
    return Listed(**found)


def _check_splits(listed: list[Listed], path: str | Path) -> None:
    if not of_split(listed, "train"):
        raise RegistrationError(f"{path} has no line of the split train: add one.", path=path)
    owner: dict[str, str] = {}
    for line in listed:
        for file in (line.fixed, line.moving):
            key = os.path.realpath(split_key(file)[0])
            if owner.setdefault(key, line.split) != line.split:
                raise RegistrationError(
                    f"{path} has {Path(file).name} in {owner[key]} and in {line.split}: what is measured on must not "
                    "be learned from.",
                    path=path,
                )
