"""Points as a file lists them, with their names; two lists paired by name, or else by order."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.points.cloud import PointCloud

MOST_NAMED = 8
"""Names of points that a sentence lists."""


@dataclass(frozen=True, eq=False)
class PointList:
    """Points in the order of their file.

    points: (N, 3) float64, RAS mm. defined: (N,) bool, False where a point was skipped or not placed; its position says
        nothing. names, descriptions: one for each point, or none at all. weights: (N,) float32; labels: (N,) int64.
    columns: further columns of a table as text, in its order.
    """

    points: Tensor
    names: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    defined: Tensor | None = None
    weights: Tensor | None = None
    labels: Tensor | None = None
    columns: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def placed(self) -> Tensor:
        """(N,) bool: the points that have a position."""
        return torch.ones(len(self), dtype=torch.bool) if self.defined is None else self.defined

    def at(self, points: Tensor) -> PointList:
        """The same points elsewhere (N, 3)."""
        return dataclasses.replace(self, points=points.double())

    def select(self, index: Tensor) -> PointList:
        """The points of these indices (M,)."""
        rows = index.tolist()

        def some(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(texts[row] for row in rows) if texts else ()

        return PointList(
            self.points[index],
            some(self.names),
            some(self.descriptions),
            None if self.defined is None else self.defined[index],
            None if self.weights is None else self.weights[index],
            None if self.labels is None else self.labels[index],
            {key: some(column) for key, column in self.columns.items()},
        )

    def cloud(self) -> PointCloud:
        """Those that were placed, as a cloud with their weights and labels; unchecked."""
        kept = self.select(self.placed.nonzero()[:, 0])
        if kept.labels is None:
            return PointCloud.plain(kept.points, kept.weights)
        return PointCloud.labeled(kept.points, kept.labels, kept.weights)

    def identities(self) -> tuple[str, ...]:
        """A name for each point by which it is found again: its own, or a label that no other has; else none."""
        names = self.names or (tuple(map(str, self.labels.tolist())) if self.labels is not None else ())
        return names if all(names) and len(set(names)) == len(names) > 1 else ()


@dataclass(frozen=True, eq=False)
class Pairs:
    """Corresponding points, (L, 3) float64 RAS mm each; what was left out, and by what the others were matched."""

    fixed: Tensor
    moving: Tensor
    by: Literal["name", "order"]
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.fixed)

    @property
    def note(self) -> str:
        """What a person has to be told, or "": who was left out."""
        if not self.left_out:
            return ""
        rest = len(self.left_out) - MOST_NAMED
        named = ", ".join(self.left_out[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        return f"{len(self)} landmarks are on both sides; left out, as one side lacks them: {named}."


def paired(fixed: PointList, moving: PointList, sides: tuple[str, str] = ("fixed", "moving")) -> Pairs:
    """The points that both lists have: matched by name where both have names of which some are the same, else by order.

    Points that were not placed on one side are left out on both. sides: what a sentence calls the lists. Raises
    `RegistrationError` where no pair is left, and where the order cannot tell because the numbers differ.
    """
    first, second = fixed.identities(), moving.identities()
    shared = [name for name in first if name in set(second)]
    if shared:
        rows = [(first.index(name), second.index(name)) for name in shared]
        lone = tuple(name for name in (*first, *second) if name not in set(shared))
        return _placed(fixed, moving, rows, "name", tuple(shared), lone, sides)
    if len(fixed) != len(moving):
        why = _why_not_by_name(fixed.names, moving.names)
        raise RegistrationError(
            f"{sides[0]} has {len(fixed)} landmarks and {sides[1]} has {len(moving)}{why}: give the same ones, in the "
            "same order or with the same names."
        )
    names = tuple(f"row {n + 1}" for n in range(len(fixed)))
    return _placed(fixed, moving, [(n, n) for n in range(len(fixed))], "order", names, (), sides)


def _placed(
    fixed: PointList,
    moving: PointList,
    rows: list[tuple[int, int]],
    by: Literal["name", "order"],
    names: tuple[str, ...],
    lone: tuple[str, ...],
    sides: Sequence[str],
) -> Pairs:
    there = [bool(fixed.placed[a] and moving.placed[b]) for a, b in rows]
    kept = [pair for pair, both in zip(rows, there) if both]
    if not kept:
        raise RegistrationError(f"{sides[0]} and {sides[1]} have no placed landmark in common: place the same ones.")
    skipped = tuple(name for name, both in zip(names, there) if not both)
    a, b = (torch.tensor(index) for index in zip(*kept))
    left = (*skipped, *lone)
    return Pairs(fixed.points[a], moving.points[b], by, tuple(n for n, both in zip(names, there) if both), left)


def _why_not_by_name(first: tuple[str, ...], second: tuple[str, ...]) -> str:
    twice = [name for names in (first, second) for name, count in Counter(names).items() if count > 1]
    if twice:
        return f", and the name {twice[0]!r} occurs twice"
    return ", and no name is on both sides" if first and second else ""
