"""Time that runs out, and a record of what was done with it."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from DiffRegLib.methods.registration import Progress, TraceRow


class Watch:
    """Counts the seconds of one registration, keeps its trace and passes its progress on.

    limit: seconds after which `expired` turns true, 0 for never; the methods then end with the best they have.
    """

    def __init__(self, limit: float, progress: Progress | None = None) -> None:
        self._begin, self._limit, self._progress = time.perf_counter(), limit, progress
        self._done, self._descents = 0.0, 0
        self.rows: list[TraceRow] = []

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begin

    @property
    def expired(self) -> bool:
        return 0 < self._limit < self.seconds

    def note(self, level: int, iteration: int, cost: float, rate: float, pose: Tensor) -> None:
        """Adds an iteration to the trace.

        level: width of the detector in pixels; iteration: from 1, which begins another descent and so another stage;
        cost: the loss as minimized; pose: (4,4), the best so far.
        """
        if iteration == 1:
            self._descents += 1
        stage = f"descent {self._descents}, {level} pixels"
        self.rows.append(TraceRow(level, iteration, cost, 0.0, rate, stage))
        message = f"Refining at {level} pixels."
        self._tell(message, pose=numbers(pose), stage=stage, level=level, iteration=iteration, loss=cost)

    def join(self, aside: Aside) -> None:
        """Notes what work beside this one has done."""
        for step in aside.steps:
            self.note(*step)

    def report(self, fraction: float, message: str, pose: Tensor | None = None) -> None:
        """Progress never runs backward; whatever the callback raises ends the work. pose: (4,4), the best so far."""
        self._done = max(self._done, min(fraction, 1.0))
        self._tell(message, **({} if pose is None else {"pose": numbers(pose)}))

    def _tell(self, message: str, **details: Any) -> None:
        if self._progress is not None:
            self._progress(self._done, message, **details)


class Aside(Watch):
    """The watch of work that runs beside other work: its steps are told when it is joined, not in between."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch._limit, lambda fraction, message, **_: watch.report(fraction, message))
        self._begin = watch._begin
        self.steps: list[tuple[int, int, float, float, Tensor]] = []

    def note(self, level: int, iteration: int, cost: float, rate: float, pose: Tensor) -> None:
        self.steps.append((level, iteration, cost, rate, pose))
        self.report(0.0, f"Refining at {level} pixels.")


def numbers(pose: Tensor) -> tuple[float, ...]:
    """The 16 numbers of a pose (4,4) row by row, as progress carries it."""
    return tuple(pose.detach().double().flatten().tolist())
