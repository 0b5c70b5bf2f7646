"""The worker's side of a job: runs it, reports progress, and leaves either a whole result or none.

Exit codes: 0 done (or complete already), 2 bad input (one sentence), 3 unexpected failure (one sentence, the
details in `traceback.txt`), 130 canceled.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TextIO

from DiffRegLib.errors import Cancelled, RegistrationError
from DiffRegLib.jobs import provenance
from DiffRegLib.jobs.job import (
    JOB,
    PROGRESS,
    RESULT,
    TRACEBACK,
    Job,
    checksum,
    is_complete,
    read_job,
    write_json,
)
from DiffRegLib.jobs.parent import when_parent_ends
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.jobs.run import run

DONE, BAD_INPUT, CRASHED, CANCELED = 0, 2, 3, 130
PARTIAL = ".result-partial"

_vanishing = threading.Event()


def run_worker(folder: str, attached: bool = False, temporary: bool = False) -> int:
    """Runs the job of `folder` as the whole work of this process and returns its exit code."""
    output = _claim_output()
    folder = Path(folder).absolute()
    try:
        reporter = _open_reporter(folder, output)
    except RegistrationError as error:
        output.write(json.dumps({"error": str(error)}) + "\n")
        output.flush()
        return BAD_INPUT
    _stop_on_signals(reporter)
    if attached:
        when_parent_ends(lambda: _vanish(folder if temporary else folder / PARTIAL))
    return run_job(folder, reporter)


def run_job(folder: Path, reporter: Reporter) -> int:
    """Runs the job in this process; the last line of progress says how it ended, the exit code likewise."""
    try:
        if is_complete(folder):
            reporter(1.0, "The job is complete already; nothing was run.")
        else:
            _run(folder, reporter)
        reporter.done()
        return DONE
    except (Cancelled, KeyboardInterrupt):
        reporter.error("The job was canceled.")
        return CANCELED
    except Exception as error:
        if _vanishing.is_set():  # what failed for want of the folder that is being removed
            threading.Event().wait()  # the process ends any moment
        sentence, code = _explain(error, folder)
        reporter.error(sentence)
        return code
    finally:
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        reporter.close()


def _run(folder: Path, reporter: Reporter) -> None:
    job = read_job(folder)
    partial = folder / PARTIAL
    for leftover in (partial, folder / RESULT):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    reporter(0.0, "Reading the input.")
    job = _verified(job)
    start = time.perf_counter()
    details = run(job, partial, reporter)
    facts = provenance.collect(time.perf_counter() - start)
    write_json(partial / JOB, {**job.to_dict(), "provenance": {**facts, **details}})
    os.replace(partial, folder / RESULT)


def _verified(job: Job) -> Job:
    """The job with the checksums of its inputs, which must be those that it was made with."""
    inputs = []
    for entry in job.inputs:
        found = checksum(entry.path)
        if entry.sha256 not in (None, found):
            raise RegistrationError(f"{entry.path} has changed since the job was made: make the job again.")
        inputs.append(dataclasses.replace(entry, sha256=found))
    return Job(**{**vars(job), "inputs": tuple(inputs)})


def _explain(error: Exception, folder: Path) -> tuple[RegistrationError | str, int]:
    """One sentence for a person, and the exit code."""
    if isinstance(error, RegistrationError):
        return error, BAD_INPUT
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "can't allocate memory" in str(error):
        return "There is not enough memory on the device: choose a coarser grid or the CPU.", BAD_INPUT
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk of {folder} is full: free some space and run the job again.", BAD_INPUT
    if isinstance(error, OSError) and not folder.is_dir():
        return f"The job folder {folder} has disappeared: start the registration again.", BAD_INPUT
    try:
        (folder / TRACEBACK).write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        traceback.print_exception(error)
    first_line = (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
    return f"The registration failed unexpectedly ({type(error).__name__}: {first_line}).", CRASHED


def _open_reporter(folder: Path, output: TextIO) -> Reporter:
    if not (folder / JOB).is_file():
        raise RegistrationError(f"{folder} is not a job folder, {JOB} is missing: name another one.")
    try:
        return Reporter(folder / PROGRESS, output)
    except OSError as error:
        raise RegistrationError(f"{folder} cannot be written ({error.strerror}): choose another folder.") from error


def _claim_output() -> TextIO:
    """The standard output for progress alone; whatever else prints goes to the error output."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "w", encoding="utf-8", newline="\n")


def _vanish(leftover: Path) -> None:
    """Ends the process at once, in the middle of whatever it does, and leaves nothing unfinished."""
    _vanishing.set()
    shutil.rmtree(leftover, ignore_errors=True)
    os._exit(CANCELED)


def _stop_on_signals(reporter: Reporter) -> None:
    """A polite request to end cancels at the next line of progress; SIGBREAK is what Windows has of it."""

    def stop(number, frame):
        raise Cancelled(f"Signal {number} asked the job to end.")

    for name in ("SIGTERM", "SIGINT", "SIGBREAK", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
