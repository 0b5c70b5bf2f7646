"""One registration from nodes to nodes: export, worker, results, in short steps between which the window lives on."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import RESULT, Event, make_job
from DiffRegLib.jobs.job import METRICS
from DiffRegLib.mrml.export import Exported
from DiffRegLib.mrml.panel.connections import Connections
from DiffRegLib.mrml.panel.job_process import Ending, JobProcess
from DiffRegLib.mrml.panel.messages import words

STEP_MS = 1  # between two steps: the event loop takes its turn


class Plan(Protocol):
    """What a panel knows of its method. Both parts are generators that yield wherever the window may take its turn."""

    method: str
    options: Mapping[str, Mapping[str, Any]]
    labels: Mapping[str, str]  # of options and inputs that the panel does not simply call by their names

    def export(self, folder: Path) -> Generator[None, None, Sequence[Exported]]:
        """Writes the inputs into `folder`; returns what was written."""

    def bring(self, result: Path, exported: Sequence[Exported]) -> Generator[None, None, None]:
        """Brings the finished result into the scene: all of it, or nothing where it raises."""


class Listener(Protocol):
    """Whom a run tells how it goes, in the thread of the window."""

    def note(self, sentence: str) -> None:
        """Something that the person should know."""

    def progress(self, event: Event) -> None:
        """A line of progress of the worker."""

    def traced(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The run ended well, and these are all its iterations, of which progress told some; see `TraceRow`."""

    def ended(self, error: str, details: str) -> None:
        """The run is over: `error` is empty, or one sentence with the nodes' names. Comes once, not after `cancel`."""


class Run:
    """Starts at once. Until it ends well nothing in the scene changes, however it ends."""

    def __init__(self, plan: Plan, listener: Listener) -> None:
        self._plan, self._listener = plan, listener
        self._exported: Sequence[Exported] = ()
        self._process: JobProcess | None = None
        self._bringing = False
        self.active = True
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(STEP_MS)
        self._connections = Connections()
        self._connections.add(self._timer, "timeout()", self._step)
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="diffreg-", dir=slicer.app.temporaryPath))
        except OSError as error:
            raise RegistrationError(self._explain(error)) from error
        self._steps = self._whole()
        self._timer.start()

    @property
    def process_id(self) -> int:
        """The number of the worker's process; 0 before it was started."""
        return self._process.process_id if self._process is not None else 0

    def cancel(self) -> None:
        """Ends the run now and removes its files; the listener hears nothing more."""
        self.active = False
        self._timer.stop()
        self._steps.close()
        if self._process is not None:
            self._process.stop()
        self._connections.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _whole(self) -> Generator[None, None, None]:
        """Everything before the worker is started."""
        self._exported = yield from self._plan.export(self.folder)
        for exported in self._exported:
            for sentence in exported.notes:
                self._listener.note(sentence)
        if not self.folder.is_dir():
            raise RegistrationError(self._disappeared())
        inputs = {exported.role: exported.path for exported in self._exported}
        labels = {exported.role: exported.labels for exported in self._exported if exported.labels is not None}
        make_job(self.folder, self._plan.method, inputs, self._plan.options, checksums=False, labels=labels)
        self._process = JobProcess(self.folder, self._listener.progress, self._worker_ended)
        self._process.start()

    def _worker_ended(self, ending: Ending) -> None:
        if not self.folder.is_dir():
            ending = Ending(RegistrationError(self._disappeared()), ending.details)
        if ending.fault is not None:
            self._end(self._explain(ending.fault), ending.details)
            return
        self._listener.traced(_trace(self.folder / RESULT / METRICS))
        self._bringing = True
        self._steps = self._plan.bring(self.folder / RESULT, self._exported)
        self._timer.start()

    def _disappeared(self) -> str:
        return _("The job's folder {folder} has disappeared: press Apply again.").format(folder=self.folder)

    def _step(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            if self._bringing:
                self._end()
            return
        except Exception as error:
            self._end(self._explain(error), repr(error))
            return
        self._timer.start()

    def _end(self, error: str = "", details: str = "") -> None:
        self.cancel()
        self._listener.ended(error, details)

    def _explain(self, error: Exception) -> str:
        """One sentence for a person."""
        if isinstance(error, RegistrationError):
            return words(error, self._plan.labels, self._exported)
        folder = slicer.app.temporaryPath
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _("The disk of {folder} is full: free some space and press Apply again.").format(folder=folder)
        if isinstance(error, OSError):
            sentence = _(
                "The folder for temporary files, {folder}, cannot be used ({reason}): check it and press Apply again."
            )
            return sentence.format(folder=folder, reason=error.strerror)
        logging.error("The registration failed unexpectedly", exc_info=error)
        return _("The registration failed unexpectedly ({error}): see the application log.").format(error=error)


def _trace(metrics: Path) -> Sequence[Mapping[str, Any]]:
    try:
        return json.loads(metrics.read_text(encoding="utf-8")).get("trace", ())
    except (OSError, ValueError):
        return ()  # the plan tells what is wrong with the result


class Waiter:
    """A listener for scripts: waits for a run while the window lives on."""

    def __init__(self) -> None:
        self._loop = qt.QEventLoop()
        self._error = ""

    def note(self, sentence: str) -> None:
        logging.info(sentence)

    def progress(self, event: Event) -> None:
        """A script reads the log if it wants to know."""

    def traced(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """A script reads the result."""

    def ended(self, error: str, details: str) -> None:
        self._error = error
        self._loop.quit()

    def wait(self, run: Run) -> None:
        """Returns when the run is over; raises `RegistrationError` where it did not end well."""
        if run.active:
            self._loop.exec_()
        if self._error:
            raise RegistrationError(self._error)
