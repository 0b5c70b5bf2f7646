"""The inputs of a job, each opened once, as the `run` of its method takes them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import ANY_NAME, check_input
from DiffRegLib.jobs.job import Job
from DiffRegLib.methods.method import ByPath, Input, Method
from DiffRegLib.training.registry import find_weights

if TYPE_CHECKING:
    from DiffRegLib.files import Opened

SIDES = ("fixed", "moving")
AT_ONCE = 2
"""Files that are opened side by side: unpacking takes one core each."""
MOST_UNEQUAL = 100.0
"""Times one side may be as wide as the other: a part and its whole stay below it, meters and mm lie above."""


def open_inputs(job: Job, method: Method) -> dict[str, Any]:
    """What the method reads, by role; a tuple for an input of which there may be many.

    Raises RegistrationError for an input that is missing, unknown, or cannot be read.
    """
    _check_roles(job, method)
    wanted: list[tuple[Input, str]] = []
    for entry in method.inputs:
        paths = job.paths(entry.role) if entry.many else [path for path in [job.path(entry.role)] if path]
        if entry.required and not paths:
            raise RegistrationError(f"The {entry.role.replace('_', ' ')} is missing: give {entry.help}.")
        wanted += [(entry, path) for path in paths]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        things = list(pool.map(lambda pair: _open(pair[1], pair[0], job.labels(pair[1])), wanted))
    opened: dict[str, Any] = {entry.role: () for entry in method.inputs if entry.many}
    for (entry, _), thing in zip(wanted, things):
        opened[entry.role] = (*opened[entry.role], thing) if entry.many else thing
    _check_pairs(opened)
    return opened


def _check_roles(job: Job, method: Method) -> None:
    """Every input has a role of the method: nothing that was given is left out in silence."""
    numbers = range(1, len(job.inputs) + 1)
    known = {entry.role for entry in method.inputs}
    known |= {f"{entry.role}_{n}" for entry in method.inputs if entry.many for n in numbers}
    for given in job.inputs:
        if given.role not in known:
            raise RegistrationError(
                f"{method.title} takes no {given.role.replace('_', ' ')}: leave {given.path} out.", path=given.path
            )


def _open(path: str, entry: Input, labels: bool | None) -> Opened | ByPath:
    if entry.kinds == ("weights",):
        path = find_weights(path)
    check_input(path, entry.kinds, entry.role.replace("_", " "))
    if set(entry.kinds) <= set(ANY_NAME):
        return ByPath(path, entry.kinds[0])
    from DiffRegLib.files import open_file

    return open_file(path, entry.kinds, labels)


def matched(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as a method takes them: CTs without padding, landmarks in pairs, segments of one name with one number.

    Raises RegistrationError for landmarks and segmentations that cannot be matched, and for sides in unequal units.
    """
    found = {role: _unpadded(thing) for role, thing in inputs.items()}
    first, second = (inputs.get(f"{side}_landmarks") for side in SIDES)
    if first is not None and second is not None:
        from DiffRegLib.points.listed import PointList, paired

        pairs = paired(first.content, second.content, (first.path, second.path))
        found["fixed_landmarks"] = first.at(PointList(pairs.fixed, pairs.names))
        found["moving_landmarks"] = second.at(PointList(pairs.moving, pairs.names))
    both = [inputs[side] for side in SIDES if side in inputs]
    if len(both) == 2:
        _check_units(*both)
        if all(side.kind == "labels" and side.segments for side in both):
            from DiffRegLib.files import renumbered

            found |= zip(SIDES, renumbered(*both))
    return found


def _unpadded(thing: Any) -> Any:
    """A CT without the numbers that fill it up, which are no edge of anything; all else as it is."""
    if not getattr(thing, "hounsfield", False):
        return thing
    from DiffRegLib.radiographs.attenuation import unpadded

    return thing.at(unpadded(thing.content))


def _check_units(fixed: Opened, moving: Opened) -> None:
    """Raises RegistrationError where one side is a thousand times as large as the other: meters against mm."""
    widths = [float((points.amax(0) - points.amin(0)).max()) for points in (fixed.points(), moving.points())]
    if max(widths) > MOST_UNEQUAL * min(widths) > 0:
        small = fixed if widths[0] < widths[1] else moving
        raise RegistrationError(
            f"{fixed.path} is {widths[0]:.3g} mm wide and {moving.path} {widths[1]:.3g} mm, as if {small.path} were in "
            "meters: convert it to mm.",
            path=small.path,
        )


def _check_pairs(opened: Mapping[str, Any]) -> None:
    """Landmarks and labels are measured on both sides."""
    for kind in ("landmarks", "labels"):
        pair = [opened.get(f"{side}_{kind}") for side in SIDES]
        given = [thing for thing in pair if thing is not None]
        if len(given) == 1:
            raise RegistrationError(
                f"{given[0].path} has no counterpart: give the {kind} of the fixed and of the moving side.",
                path=given[0].path,
            )
