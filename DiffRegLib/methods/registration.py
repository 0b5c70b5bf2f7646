"""What every method returns, and how it reports its progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from DiffRegLib.transforms import Transform


class Progress(Protocol):
    """Called with the fraction done (0 to 1) and a message; it cancels the work by raising `Cancelled`.

    details: `level`, `iteration` and `loss`, where the work iterates and has just found a loss; `pose`, where a rigid
    one is sought: 16 numbers row by row, the best so far, CT world to C-arm world.
    """

    def __call__(self, fraction: float, message: str, **details: Any) -> None: ...


@dataclass(frozen=True)
class TraceRow:
    """One iteration: `similarity` and `regularization` are the two parts of the loss as they were minimized."""

    level: int
    iteration: int
    similarity: float
    regularization: float
    learning_rate: float


@dataclass(frozen=True)
class Provenance:
    """How a result came about; `inputs` holds for each input its SHA-256 and its number of points or voxels."""

    method: str
    version: str
    options: dict[str, Any]
    seed: int
    device: str
    seconds: float
    peak_memory_mb: float
    inputs: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Registration:
    """`transform` maps the fixed to the moving image (RAS mm), `inverse` back.

    inverse_residual_mm: the largest |transform(inverse(y)) - y| found on the grid on which the inverse was computed.
    """

    transform: Transform
    inverse: Transform
    trace: tuple[TraceRow, ...]
    provenance: Provenance
    inverse_residual_mm: float


class Meter:
    """Counts steps of a known total and passes them on as fractions."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, max(1, total), 0

    def step(self, message: str, steps: int = 1, row: TraceRow | None = None) -> None:
        """Reports `steps` more as done, with the loss of `row`; whatever the callback raises ends the work."""
        self._done = min(self._done + steps, self._total)
        if self._progress is None:
            return
        details = {}
        if row is not None:
            details = {"level": row.level, "iteration": row.iteration, "loss": row.similarity + row.regularization}
        self._progress(self._done / self._total, message, **details)
