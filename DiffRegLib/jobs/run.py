"""A job from its inputs to the files of its result, whatever its method."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs.inputs import matched, open_inputs
from DiffRegLib.jobs.job import Job
from DiffRegLib.jobs.output import OutputOptions
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.methods import method
from DiffRegLib.methods.method import Method
from DiffRegLib.methods.registration import Part
from DiffRegLib.options import from_dict

OPENED, REGISTERED = 0.02, 0.9  # of the progress, where opening and the method end
OUTPUT = "output"  # the group of options that belongs to the job and not to its method


def run(job: Job, folder: Path, report: Reporter) -> dict[str, Any]:
    """Runs the method of the job and writes the core of the result into `folder`; returns the method's provenance.

    Raises RegistrationError for bad input before any long work.
    """
    chosen = method(job.method)
    options, output = job_options(job, chosen), from_dict(OutputOptions, job.options.get(OUTPUT, {}))
    inputs = open_inputs(job, chosen)
    registration = chosen.load()(matched(inputs), options, folder, Part(report, OPENED, REGISTERED))
    report(REGISTERED, "Writing the result.")
    from DiffRegLib.jobs.result import write_result
    from DiffRegLib.ops.device import release_freed

    release_freed()
    write_result(folder, registration, inputs, report, output)
    provenance = dataclasses.asdict(registration.provenance)
    return {key: value for key, value in provenance.items() if key not in ("inputs", "options")}


def job_options(job: Job, chosen: Method) -> dict[str, Any]:
    """The options of every group of the method, its defaults where the job has none."""
    unknown = set(job.options) - set(chosen.options) - {OUTPUT}
    if unknown:
        raise RegistrationError(f"{chosen.title} has no options {', '.join(sorted(unknown))}: remove them.")
    return {group: from_dict(cls, job.options.get(group, {})) for group, cls in chosen.options.items()}
