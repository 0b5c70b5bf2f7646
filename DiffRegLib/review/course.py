"""The course of an optimization: every stage minimizes a loss of its own, which compares with no other's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

SCALE = "loss, each stage on its own scale"


@dataclass(frozen=True)
class Course:
    """A stage: the numbers of its iterations, how far its similarity lies above its least, and its regularization.

    Both are parts of how much the one that varies more does, so from 0 to 1.
    """

    stage: str
    iterations: list[int]
    similarity: list[float]
    regularization: list[float]


def courses(trace: Sequence[Any]) -> list[Course]:
    """The stages of a trace (rows of `TraceRow`) in their order; where no stages are told, the levels."""
    numbered = enumerate(trace)
    return [_course(stage, list(rows)) for stage, rows in groupby(numbered, lambda one: _stage(one[1]))]


def _stage(row: Any) -> str:
    return row.stage or f"level {row.level}"


def _course(stage: str, rows: list[tuple[int, Any]]) -> Course:
    similarity, regularization = ([getattr(row, part) for _, row in rows] for part in ("similarity", "regularization"))
    least = min(similarity)
    unit = max(max(similarity) - least, *map(abs, regularization)) or 1.0
    return Course(
        stage, [n for n, _ in rows], [(s - least) / unit for s in similarity], [r / unit for r in regularization]
    )
