"""Runs a job for the command line: in a child process, as a panel does, in a folder beside the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.cli.crash import Crash
from DiffRegLib.cli.workspace import put, uninterrupted, workspace
from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import JOB, RESULT, TRACEBACK, Job, Worker, make_job, read_job
from DiffRegLib.jobs.job import describe, write_json


def run_to(
    out: str,
    method: str,
    inputs: Mapping[str, str],
    options: Mapping[str, Mapping[str, Any]],
    overwrite: bool = False,
) -> tuple[Path, bool]:
    """The folder of the finished result, and whether it was there already, made by the same job.

    Nothing but the finished result is left behind, whatever happens: neither the job's folder nor new parents of `out`.
    Raises `RegistrationError` for bad input and `KeyboardInterrupt` when canceled.
    """
    target = Path(os.path.abspath(out))
    job = describe(method, inputs, options)
    if os.path.lexists(target):
        if _holds(target, job):
            return target, True
        _check_replaceable(target, overwrite)
    with workspace(target) as folder:
        make_job(folder, method, inputs, options, checksums=False)
        write_json(folder / JOB, job.to_dict())
        _follow(folder)
        put(folder / RESULT, target, folder)
    return target, False


def _holds(target: Path, job: Job) -> bool:
    try:
        return read_job(target).same_work(job)
    except RegistrationError:
        return False


def _check_replaceable(target: Path, overwrite: bool) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if not (target / JOB).is_file():
        raise RegistrationError(f"{target} exists and is not a result of diffreg: choose another name for -o.")
    if not overwrite:
        raise RegistrationError(
            f"{target} holds the result of another job: choose another name for -o, or replace it with --overwrite."
        )


def _follow(folder: Path) -> None:
    from DiffRegLib.cli.show import progress_display

    worker = Worker(folder, temporary=True)
    error = None
    try:
        with progress_display() as show:
            for event in worker.events():
                error = event.fault or error
                show(event)
        code = worker.wait()
        if code == 0:
            return
        if code == 2 and error:
            raise error
        raise _crash(worker, folder, error, code)
    finally:
        with uninterrupted():
            worker.end()


def _crash(worker: Worker, folder: Path, error: RegistrationError | None, code: int) -> Crash:
    trace = folder / TRACEBACK
    details = trace.read_text(encoding="utf-8") if trace.is_file() else worker.complaints()
    return Crash(
        str(error) if error else f"The worker was ended by the system (code {code}), perhaps for lack of memory.",
        details,
    )
