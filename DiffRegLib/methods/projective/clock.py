"""Time that runs out, and a record of what was done with it."""

from __future__ import annotations

import time

from DiffRegLib.methods.registration import Progress, TraceRow


class Watch:
    """Counts the seconds of one registration, keeps its trace and passes its progress on.

    limit: seconds after which `expired` turns true; the methods then end with the best they have.
    """

    def __init__(self, limit: float, progress: Progress | None = None) -> None:
        self._begin, self._limit, self._progress = time.perf_counter(), limit, progress
        self._done = 0.0
        self.rows: list[TraceRow] = []

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begin

    @property
    def expired(self) -> bool:
        return self.seconds > self._limit

    def note(self, level: int, iteration: int, cost: float, rate: float) -> None:
        """Adds an iteration to the trace. level: width of the detector in pixels; cost: the loss as minimized."""
        self.rows.append(TraceRow(level, iteration, cost, 0.0, rate))
        self.report(self._done, f"Refining at {level} pixels: loss {cost:.4f}.")

    def report(self, fraction: float, message: str) -> None:
        """Progress never runs backward; whatever the callback raises ends the work."""
        self._done = max(self._done, min(fraction, 1.0))
        if self._progress is not None:
            self._progress(self._done, message)
