"""Which module runs the jobs of which method; none is imported before a job of that method is run."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs.job import Job
from DiffRegLib.jobs.progress import Reporter

RUNNERS = {"splatting": "DiffRegLib.jobs.splatting", "projective": "DiffRegLib.jobs.projective"}


class Runner(Protocol):
    """What a runner's module offers."""

    def run(self, job: Job, result: Path, report: Reporter) -> dict[str, Any]:
        """Does the work, writes its files into `result`, and returns what `job.json` adds as provenance."""


def runner(method: str) -> Runner:
    """The module that runs jobs of `method`; raises `RegistrationError` for a method that is not known."""
    if method not in RUNNERS:
        raise RegistrationError(f"There is no method {method!r}: choose one of {', '.join(sorted(RUNNERS))}.")
    return importlib.import_module(RUNNERS[method])
