"""The worker process as its parent sees it: how to start it, follow it and end it, on every system."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from DiffRegLib.jobs.progress import Event, parse


def worker_command(folder: str | os.PathLike, python: str | None = None, temporary: bool = False) -> list[str]:
    """Program and arguments that run a job, for `subprocess` as for QProcess.

    The worker ends by itself when its standard input is closed, which also happens when the parent dies.
    temporary: it then removes the whole job folder as well.
    """
    flags = ["--attached", *(["--temporary"] if temporary else [])]
    return [python or sys.executable, "-m", "DiffRegLib.jobs", "run", os.path.abspath(folder), *flags]


def worker_environment() -> dict[str, str]:
    """The parent's environment, in which the worker finds this library and speaks UTF-8.

    Threads that wait do not spin: beside other work, spinning took 10 to 50 times as long as the work itself. MKL's
    sums do not depend on where in memory their numbers lie, so that a seed gives the same bits again, at no cost in
    speed where it was measured.
    """
    library = str(Path(__file__).resolve().parents[2])
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != library]
    own = {"PYTHONPATH": os.pathsep.join([library, *others]), "PYTHONUTF8": "1"}
    return {"OMP_WAIT_POLICY": "PASSIVE", "MKL_CBWR": "AVX2,STRICT", **os.environ, **own}


class Worker:
    """A running job. Iterate over `events()`, then read `wait()`; `end()` stops it at once.

    The worker has a process group of its own, so that Ctrl-C in a terminal reaches only the parent, which decides.
    """

    def __init__(self, folder: str | os.PathLike, temporary: bool = False):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            worker_command(folder, temporary=temporary),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=worker_environment(),
            **_own_group(),
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def events(self) -> Iterator[Event]:
        """Every line of progress as it arrives, until the worker closes its output."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if event := parse(line):
                yield event

    def wait(self) -> int:
        """The exit code: 0 done, 2 bad input, 3 crashed, 130 canceled; negative where the system killed it."""
        return self._process.wait()

    def complaints(self) -> str:
        """What the worker wrote on its error output: warnings of libraries, or why it did not start."""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")

    def end(self) -> None:
        """Ends the worker now, whatever it is doing, and returns when it is gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self.close()

    def close(self) -> None:
        """Releases the pipes of a worker that has ended."""
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                stream.close()
            except OSError:
                pass  # a pipe whose other end is gone


def _own_group() -> dict:
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
