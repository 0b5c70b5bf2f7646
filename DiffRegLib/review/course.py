"""The course of an optimization: every stage minimizes a loss of its own, which compares with no other's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SHARE = "loss, part of its stage's first"


@dataclass(frozen=True)
class Course:
    """A stage: the numbers of its iterations, and the two parts of its loss as parts of the loss that it began with."""

    stage: str
    first: float
    iterations: list[int] = field(default_factory=list)
    similarity: list[float] = field(default_factory=list)
    regularization: list[float] = field(default_factory=list)

    def add(self, iteration: int, row: Any) -> None:
        """Another row; a loss that begins with 0 stays as it is."""
        unit = abs(self.first) or 1.0
        self.iterations.append(iteration)
        self.similarity.append(row.similarity / unit)
        self.regularization.append(row.regularization / unit)


def courses(trace: Iterable[Any]) -> list[Course]:
    """The stages of a trace (rows of `TraceRow`) in their order; where no stages are told, the levels."""
    found: list[Course] = []
    for number, row in enumerate(trace):
        stage = row.stage or f"level {row.level}"
        if not found or found[-1].stage != stage:
            found.append(Course(stage, row.similarity + row.regularization))
        found[-1].add(number, row)
    return found
