"""The same registration with other seeds: how much of its result is chance."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs.inputs import matched, open_inputs
from DiffRegLib.jobs.job import Job
from DiffRegLib.jobs.run import job_options
from DiffRegLib.methods import method
from DiffRegLib.methods.method import Method
from DiffRegLib.transforms import Transform

SEED, SEEDS = "seed", 2**31 - 1


def again(job: Job, count: int, tell: Callable[[str], None] = lambda sentence: None) -> tuple[Transform, ...]:
    """The transforms of `count` repeats of a finished job, each with a seed of its own.

    tell: called with a sentence before each. Raises RegistrationError for a method without a seed, and where the inputs
    are gone.
    """
    chosen = method(job.method)
    group = _drawn(chosen)
    inputs, options = matched(open_inputs(job, chosen)), job_options(job, chosen)
    found = []
    for number in range(1, count + 1):
        tell(f"Registering again, {number} of {count}.")
        other = dataclasses.replace(options[group], seed=(job.seed + number) % SEEDS)
        with tempfile.TemporaryDirectory(prefix="diffreg-again-") as folder:
            found.append(chosen.load()(inputs, {**options, group: other}, Path(folder), _unheard).transform)
    return tuple(found)


def _drawn(chosen: Method) -> str:
    """The group of options that has the seed."""
    for group, options in chosen.options.items():
        if SEED in {field.name for field in dataclasses.fields(options)}:
            return group
    raise RegistrationError(
        f"{chosen.title} draws nothing at random and gives the same result every time: leave the repeats out."
    )


def _unheard(fraction: float, message: str = "", **details: object) -> None:
    """The progress of a repeat."""
