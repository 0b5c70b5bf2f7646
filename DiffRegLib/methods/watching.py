"""The steps of the image-driven recipe as rows of a trace and as progress, for every method that runs it."""

from __future__ import annotations

from DiffRegLib.dense.descent import Step
from DiffRegLib.dense.recipe import Level
from DiffRegLib.geometry import Lattice
from DiffRegLib.methods.registration import Meter, Progress, TraceRow

EXPORT = 10
"""Steps that sampling the fields counts for in the progress."""


class Watch:
    """Observes `DiffRegLib.dense.recipe.align`; energies are divided by the volume of the fixed image."""

    def __init__(self, progress: Progress | None, parts: tuple[Level, ...], fixed: Lattice, first: int = 0) -> None:
        """first: number of the first level in the trace."""
        self._before = [sum(p.iterations for p in parts[:n]) for n in range(len(parts) + 1)]
        self._meter = Meter(progress, self._before[-1] + EXPORT)
        self._volume, self._first, self._done = float((fixed.size * fixed.spacing).prod()), first, 0
        self.trace: list[TraceRow] = []

    def __call__(self, level: Level, number: int, step: Step) -> None:
        energies = step.similarity / self._volume, step.regularization / self._volume
        row = TraceRow(self._first + number, step.iteration, *energies, step.length, level.stage)
        self.trace.append(row)
        done = self._before[number] + step.iteration + 1
        self._meter.step(f"{level.part.capitalize()} with voxels of {level.spacing:.3g} mm.", done - self._done, row)
        self._done = done

    def sampling(self) -> None:
        """The levels are done."""
        self._meter.step("Sampling the deformation.", self._before[-1] - self._done)

    def sampled(self) -> None:
        """So are the fields."""
        self._meter.step("The deformation is sampled.", EXPORT)
