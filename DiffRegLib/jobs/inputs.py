"""The inputs of a job, each opened once, as the `run` of its method takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import ANY_NAME, check_input
from DiffRegLib.jobs.job import Job
from DiffRegLib.methods.method import ByPath, Input, Method

if TYPE_CHECKING:
    from DiffRegLib.files import Opened


def open_inputs(job: Job, method: Method) -> dict[str, Any]:
    """What the method reads, by role; a tuple for an input of which there may be many.

    Raises RegistrationError for an input that is missing, unknown, or cannot be read.
    """
    opened: dict[str, Any] = {}
    for entry in method.inputs:
        paths = job.paths(entry.role) if entry.many else [path for path in [job.path(entry.role)] if path]
        if entry.required and not paths:
            raise RegistrationError(f"The {entry.role.replace('_', ' ')} is missing: give {entry.help}.")
        things = tuple(_open(path, entry) for path in paths)
        if entry.many:
            opened[entry.role] = things
        elif things:
            opened[entry.role] = things[0]
    _check_pairs(opened)
    return opened


def _open(path: str, entry: Input) -> Opened | ByPath:
    check_input(path, entry.kinds, entry.role.replace("_", " "))
    if set(entry.kinds) <= set(ANY_NAME):
        return ByPath(path, entry.kinds[0])
    from DiffRegLib.files import open_file

    return open_file(path, entry.kinds)


def _check_pairs(opened: dict[str, Any]) -> None:
    """Landmarks and labels are measured on both sides, and landmarks correspond row by row."""
    for kind in ("landmarks", "labels"):
        pair = [opened.get(f"{side}_{kind}") for side in ("fixed", "moving")]
        given = [thing for thing in pair if thing is not None]
        if len(given) == 1:
            raise RegistrationError(
                f"{given[0].path} has no counterpart: give the {kind} of the fixed and of the moving side.",
                path=given[0].path,
            )
        if len(given) == 2 and kind == "landmarks":
            from DiffRegLib.jobs.measures import check_landmarks

            check_landmarks(*((thing.points(), thing.path) for thing in pair))
