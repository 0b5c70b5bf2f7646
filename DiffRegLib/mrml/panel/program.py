"""A program beside the window: a QProcess whose output and end arrive in the event loop."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence

import qt

from DiffRegLib.jobs import worker_environment
from DiffRegLib.mrml.panel.connections import Connections

LAST_WORDS = 4000  # characters of the error output that are kept


def python_program() -> str:
    """Slicer's Python with its environment; outside Slicer the one that runs now."""
    return shutil.which("PythonSlicer") or sys.executable


class Program:
    """Runs a command with the library on its path, and ends with this process too.

    on_output: called with the bytes that have arrived. on_end: called once, unless `stop` came first, with the exit
    code, or None where the command did not start. Nothing keeps a program that has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_end: Callable[[int | None], None],
        on_output: Callable[[bytes], None] | None = None,
    ) -> None:
        self._command, self._on_end, self._on_output = list(command), on_end, on_output
        self._complaints, self.running = b"", False
        self._process, self._connections = qt.QProcess(), Connections()
        for signal, slot in (
            ("readyReadStandardOutput()", self._read),
            ("readyReadStandardError()", self._listen),
            ("finished(int,QProcess::ExitStatus)", self._finished),
            ("errorOccurred(QProcess::ProcessError)", self._failed),
        ):
            self._connections.add(self._process, signal, slot)

    @property
    def name(self) -> str:
        """The program that is run."""
        return self._command[0]

    @property
    def process_id(self) -> int:
        """The number of the process, or of the launcher that stands before it."""
        return self._process.processId()

    @property
    def complaints(self) -> str:
        """The last that it wrote to its error output."""
        return self._complaints.decode("utf-8", "replace")

    def start(self) -> None:
        """Starts it and returns at once."""
        environment = qt.QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self.running = True
        self._process.start(self._command[0], self._command[1:])

    def stop(self) -> None:
        """Ends it now, whatever it does; nobody is called back."""
        if self.running:
            self.running = False
            self._process.kill()
            self._process.waitForFinished(3000)
            self._connections.release()

    def _read(self) -> None:
        if self.running:
            data = self._process.readAllStandardOutput().data()
            if self._on_output is not None and data:
                self._on_output(data)

    def _listen(self) -> None:
        self._complaints = (self._complaints + self._process.readAllStandardError().data())[-LAST_WORDS:]

    def _finished(self, code: int, status: object) -> None:
        self._read()
        self._listen()
        self._end(code)

    def _failed(self, error: object) -> None:
        """A process that did not start never finishes; every other failure is followed by `finished`."""
        if error == qt.QProcess.FailedToStart:
            self._end(None)

    def _end(self, code: int | None) -> None:
        if self.running:
            self.running = False
            self._connections.release()
            self._on_end(code)
