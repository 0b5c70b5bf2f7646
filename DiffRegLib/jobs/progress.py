"""Progress of a job: one JSON object a line, in `progress.jsonl` and on the worker's output."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from DiffRegLib.errors import Cancelled, RegistrationError

SHORTEST_INTERVAL = 0.05  # seconds between two lines with the same message: a panel redraws no faster


@dataclasses.dataclass(frozen=True)
class Event:
    """One line of progress. `time` is in seconds since the run began, `fraction` runs from 0 to 1.

    `stage` is the part of the recipe that `loss` belongs to: another problem begins when it changes.
    `pose` is the best pose found so far where one is sought: 16 numbers row by row, CT world to C-arm world, RAS mm.
    `done` marks the last line of a run that succeeded, `error` (one sentence) that of one that did not; `sentence`,
    `options` and `path` let a front end word it, see `fault`.
    """

    time: float = 0.0
    fraction: float = 0.0
    message: str = ""
    stage: str | None = None
    level: int | None = None
    iteration: int | None = None
    loss: float | None = None
    pose: tuple[float, ...] | None = None
    done: bool = False
    error: str | None = None
    sentence: str = ""
    options: tuple[str, ...] = ()
    path: str = ""

    @property
    def fault(self) -> RegistrationError | None:
        """The error as it was raised, for whoever words its options and its path."""
        if self.error is None:
            return None
        return RegistrationError(self.sentence or self.error, option=self.options, path=self.path)

    def seconds_left(self) -> float | None:
        """The rest of the run at the pace so far, or None while there is no pace yet."""
        return self.time * (1 - self.fraction) / self.fraction if self.fraction > 0.02 else None


def parse(line: str | bytes) -> Event | None:
    """The event of a line that a worker printed, or None for a line that is none of ours."""
    try:
        content = json.loads(line)
        known = {f.name for f in dataclasses.fields(Event)}
        if not content or not known.issuperset(content):
            return None
        return Event(**{k: tuple(v) if isinstance(v, list) else v for k, v in content.items()})
    except (ValueError, TypeError):
        return None


class Reporter:
    """The progress callback of a method: writes lines to the job's folder and to the output of the worker.

    Raises `Cancelled` where the job was told to stop or nobody reads its output any more.
    """

    def __init__(self, path: Path, output: TextIO):
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        self._output = output
        self._start = time.monotonic()
        self._last, self._message = -math.inf, ""
        self._last_fraction = 0.0
        self._held: dict | None = None  # the newest line that was thinned
        self.stop = threading.Event()

    def __call__(
        self,
        fraction: float,
        message: str = "",
        *,
        stage: str | None = None,
        level: int | None = None,
        iteration: int | None = None,
        loss: float | None = None,
        pose: Sequence[float] | None = None,
    ) -> None:
        """Tells how far the work is (0 to 1) and what it does; of steps in quick succession with one message some are
        left out, never the last. pose: 16 numbers, see `Event`."""
        if self.stop.is_set():
            raise Cancelled("The job was told to stop.")
        now = time.monotonic() - self._start
        self._last_fraction = max(self._last_fraction, min(float(fraction), 1.0))
        line = {"time": round(now, 3), "fraction": round(self._last_fraction, 4), "message": message}
        details = {"stage": stage or None, "level": level, "iteration": iteration, "loss": _finite(loss)}
        line |= {k: v for k, v in {**details, "pose": _all_finite(pose)}.items() if v is not None}
        if message == self._message and now - self._last < SHORTEST_INTERVAL:
            self._held = line
            return
        if message != self._message:
            self._release()
        self._last, self._message, self._held = now, message, None
        self._write(line)

    def done(self) -> None:
        """The last line of a run that succeeded."""
        self._release()
        self._write({"done": True})

    def error(self, error: RegistrationError | str) -> None:
        """The last line of a run that did not succeed; never raises."""
        line = {"error": str(error)}
        if isinstance(error, RegistrationError) and (error.options or error.path):
            line |= {"sentence": error.sentence, "options": list(error.options), "path": error.path}
        try:
            self._release()
            self._write(line)
        except (Cancelled, OSError, ValueError):
            pass

    def close(self) -> None:
        """Releases `progress.jsonl`, which some systems would not let anyone remove otherwise."""
        try:
            self._file.close()
        except OSError:
            pass  # a full disk, which was told already

    def _release(self) -> None:
        """Writes the last step of a phase where it was held back."""
        if self._held is not None:
            held, self._held = self._held, None
            self._write(held)

    def _write(self, content: dict) -> None:
        line = json.dumps(content) + "\n"  # ASCII: a pipe's encoding cannot spoil it
        try:
            self._output.write(line)
            self._output.flush()
        except (BrokenPipeError, ValueError, OSError) as error:
            raise Cancelled("Nobody reads the output of this job any more.") from error
        self._file.write(line)  # after the output, which says what is wrong where the disk is full


def _finite(value: float | None) -> float | None:
    """The number, or None for one that JSON has no word for."""
    return float(value) if value is not None and math.isfinite(value) else None


def _all_finite(values: Sequence[float] | None) -> list[float] | None:
    """The numbers, or None where JSON has no word for one of them."""
    return [float(v) for v in values] if values is not None and all(map(math.isfinite, values)) else None
