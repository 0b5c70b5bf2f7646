"""The worker of a job as the window follows it: a QProcess whose lines arrive in the event loop."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import qt
from slicer.i18n import tr as _

from DiffRegLib.jobs import TRACEBACK, Event, parse, worker_command, worker_environment

LAST_WORDS = 4000  # characters of the error output that are kept


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a job ended: whether its result is there, else one sentence, and what a developer wants to read."""

    done: bool
    sentence: str = ""
    details: str = ""


def python_program() -> str:
    """Slicer's Python with its environment; outside Slicer the one that runs now."""
    return shutil.which("PythonSlicer") or sys.executable


class JobProcess:
    """Runs the job of a folder. Callbacks come in the thread of the window.

    on_event: every line of progress. on_end: once, unless `stop` came first. The worker ends with this process too.
    """

    def __init__(self, folder: Path, on_event: Callable[[Event], None], on_end: Callable[[Ending], None]) -> None:
        self._folder, self._on_event, self._on_end = folder, on_event, on_end
        self._buffer, self._complaints = b"", b""
        self._error, self._done, self.running = "", False, False
        self._process = qt.QProcess()
        self._process.connect("readyReadStandardOutput()", self._read)
        self._process.connect("readyReadStandardError()", self._listen)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._failed)

    @property
    def process_id(self) -> int:
        """The number of the worker's process, or of the launcher that stands before it."""
        return self._process.processId()

    def start(self) -> None:
        """Starts the worker and returns at once."""
        environment = qt.QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        program, *arguments = worker_command(self._folder, python_program())
        self.running = True
        self._process.start(program, arguments)

    def stop(self) -> None:
        """Ends the worker now, whatever it does; nobody is called back."""
        if self.running:
            self.running = False
            self._process.kill()
            self._process.waitForFinished(3000)

    def _read(self) -> None:
        if not self.running:
            return
        *lines, self._buffer = (self._buffer + self._process.readAllStandardOutput().data()).split(b"\n")
        for event in filter(None, map(parse, lines)):
            self._error, self._done = event.error or self._error, event.done or self._done
            if self.running:
                self._on_event(event)

    def _listen(self) -> None:
        self._complaints = (self._complaints + self._process.readAllStandardError().data())[-LAST_WORDS:]

    def _finished(self, code: int, status: object) -> None:
        self._read()
        self._listen()
        if self.running:
            self.running = False
            self._on_end(self._ending(code))

    def _failed(self, error: object) -> None:
        """A process that did not start never finishes; every other failure is followed by `finished`."""
        if self.running and error == qt.QProcess.FailedToStart:
            self.running = False
            self._on_end(
                Ending(False, _("{program} did not start: check the installation.").format(program=python_program()))
            )

    def _ending(self, code: int) -> Ending:
        if code == 0 and self._done:
            return Ending(True)
        if self._error:
            return Ending(False, self._error, self._details())
        sentence = _(
            "The registration was ended from outside, perhaps because the memory was full: "
            "close other programs or take fewer points, and start it again."
        )
        return Ending(False, sentence, self._details())

    def _details(self) -> str:
        trace = self._folder / TRACEBACK
        try:
            return trace.read_text(encoding="utf-8")
        except OSError:
            return self._complaints.decode("utf-8", "replace")
