"""The worker of a job as the window follows it: its lines arrive in the event loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import TRACEBACK, Event, parse, worker_command
from DiffRegLib.mrml.panel import program


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a job ended: None where its result is there, else what went wrong, and what a developer wants to read."""

    fault: RegistrationError | None = None
    details: str = ""


class JobProcess:
    """Runs the job of a folder. Callbacks come in the thread of the window.

    on_event: every line of progress. on_end: once, unless `stop` came first. The worker ends with this process too.
    """

    def __init__(self, folder: Path, on_event: Callable[[Event], None], on_end: Callable[[Ending], None]) -> None:
        self._folder, self._on_event, self._on_end = folder, on_event, on_end
        self._buffer, self._done = b"", False
        self._fault: RegistrationError | None = None
        command = worker_command(folder, program.python_program())
        self._program = program.Program(command, self._ended, self._read)

    @property
    def process_id(self) -> int:
        """The number of the worker's process, or of the launcher that stands before it."""
        return self._program.process_id

    def start(self) -> None:
        """Starts the worker and returns at once."""
        self._program.start()

    def stop(self) -> None:
        """Ends the worker now, whatever it does; nobody is called back."""
        self._program.stop()

    def _read(self, output: bytes) -> None:
        *lines, self._buffer = (self._buffer + output).split(b"\n")
        for event in filter(None, map(parse, lines)):
            self._fault, self._done = event.fault or self._fault, event.done or self._done
            if self._program.running:
                self._on_event(event)

    def _ended(self, code: int | None) -> None:
        self._on_end(self._ending(code))

    def _ending(self, code: int | None) -> Ending:
        if code is None:
            sentence = _("{program} did not start: check the installation.")
            return Ending(RegistrationError(sentence.format(program=self._program.name)))
        if code == 0 and self._done:
            return Ending()
        if self._fault is not None:
            return Ending(self._fault, self._details())
        sentence = _(
            "The registration was ended from outside, perhaps because the memory was full: "
            "close other programs or take fewer points, and start it again."
        )
        return Ending(RegistrationError(sentence), self._details())

    def _details(self) -> str:
        try:
            return (self._folder / TRACEBACK).read_text(encoding="utf-8")
        except OSError:
            return self._program.complaints
