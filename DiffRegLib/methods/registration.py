"""What every method returns, and how it reports its progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from DiffRegLib.image import Image
    from DiffRegLib.points import PointCloud
    from DiffRegLib.transforms import Transform


class Progress(Protocol):
    """Called with the fraction done (0 to 1) and a message; it cancels the work by raising `Cancelled`.

    details: `stage`, `level`, `iteration` and `loss`, where the work iterates and has just found a loss: losses are one
    curve as long as the stage stays the same, and another problem begins when it changes; `pose`, where a rigid one is
    sought: 16 numbers row by row, the best so far, CT world to C-arm world.
    """

    def __call__(self, fraction: float, message: str, **details: Any) -> None: ...


class Part:
    """A stretch of a longer piece of work, with the same face: its 0 to 1 is `start` to `stop` of the whole."""

    def __init__(self, whole: Progress, start: float, stop: float) -> None:
        self._whole, self._start, self._length = whole, start, stop - start

    def __call__(self, fraction: float, message: str = "", **details: Any) -> None:
        self._whole(self._start + self._length * float(fraction), message, **details)


@dataclass(frozen=True)
class TraceRow:
    """One iteration: `similarity` and `regularization` are the two parts of the loss as they were minimized.

    level: a number that tells resolutions apart. stage: the part of the recipe, such as "affine"; rows of one stage
    minimize the same loss.
    """

    level: int
    iteration: int
    similarity: float
    regularization: float
    learning_rate: float
    stage: str = ""


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


@dataclass(frozen=True, eq=False)
class Support:
    """Where data drive the field, in the fixed frame; elsewhere the field is an extrapolation.

    distance: (1, D, H, W) mm from each voxel of a coarse grid to the nearest datum. reach: mm from a datum up to which
    it is taken to drive the field. outside: what the field does beyond, in words.
    """

    distance: Image
    reach: float
    outside: str

    def covers(self, points: Tensor) -> Tensor:
        """(...,) bool: whether points (..., 3) in RAS mm lie within reach of data; beyond the grid none does."""
        return self.distance.contains(points) & (self.distance.sample(points)[0] <= self.reach)


@dataclass(frozen=True)
class Registration:
    """`transform` maps the fixed to the moving image (RAS mm), `inverse` back; of a pose: CT world to C-arm world.

    inverse_residual_mm: the largest |transform(inverse(y)) - y| found on the grid on which the inverse was computed.
    support: where data drive the field; None where the transform is rigid or affine, which data anywhere drive.
    metrics: what is special about the method's result, as JSON can hold it, for `metrics.json`.
    clouds: what was compared in place of images, for pictures: the points of the fixed and of the moving side.
    """

    transform: Transform
    inverse: Transform
    trace: tuple[TraceRow, ...]
    provenance: Provenance
    inverse_residual_mm: float = 0.0
    support: Support | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    clouds: tuple[PointCloud, PointCloud] | None = None


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
            loss = row.similarity + row.regularization
            details = {"stage": row.stage, "level": row.level, "iteration": row.iteration, "loss": loss}
        self._progress(self._done / self._total, message, **details)
