"""Runs the jobs of forward splatting: files in, a registration, files out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import open_file, read_labels, read_landmarks
from DiffRegLib.jobs.job import Job
from DiffRegLib.jobs.measures import check_landmarks
from DiffRegLib.jobs.output import OutputOptions
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.jobs.result import write_result
from DiffRegLib.jobs.sides import Thing, boxes_overlap, read_thing
from DiffRegLib.methods.splatting import SplattingOptions, register
from DiffRegLib.options import from_dict
from DiffRegLib.points import PointCloud
from DiffRegLib.points.extract import cloud_of
from DiffRegLib.points.options import CloudOptions
from DiffRegLib.transforms import Transform, read_transform

PLACED = ("center", "landmarks")  # starts that bring together what lies apart, for whom the user decided
CLOUDS, REGISTERED = 0.25, 0.9  # of the progress, where extraction and optimization end


def run(job: Job, result: Path, report: Reporter) -> dict[str, Any]:
    """Registers the clouds of both sides and writes the result; returns the method's provenance."""
    options = from_dict(SplattingOptions, job.options["splatting"])
    extraction = from_dict(CloudOptions, job.options["clouds"])
    output = from_dict(OutputOptions, job.options.get("output", {}))
    landmarks = read_pair(job, "landmarks", read_landmarks)
    labels = read_pair(job, "labels", read_labels)
    initial = read_transform(job.path("initial")) if job.path("initial") else None
    fixed, moving = read_thing(job.path("fixed")), read_thing(job.path("moving"))
    if landmarks:
        check_landmarks(landmarks, job.path("fixed_landmarks"), job.path("moving_landmarks"))
    if initial is not None or options.initialization not in PLACED:
        check_overlap(fixed, moving, initial)
    clouds = []
    for n, side in enumerate(("fixed", "moving")):
        report(CLOUDS * (0.1 + 0.45 * n), f"Finding the points of the {side} side.")
        clouds.append(_cloud(job, side, (fixed, moving)[n], extraction, options.seed))
    report(CLOUDS, f"Registering {len(clouds[0])} with {len(clouds[1])} points.")
    registration = register(
        *clouds,
        options,
        initial=initial,
        progress=report.part(CLOUDS, REGISTERED),
        fixed_landmarks=landmarks[0] if landmarks else None,
        moving_landmarks=landmarks[1] if landmarks else None,
    )
    report(REGISTERED, "Writing the result.")
    write_result(result, registration, (fixed, moving), tuple(clouds), landmarks, labels, report, output)
    return {k: v for k, v in dataclasses.asdict(registration.provenance).items() if k not in ("inputs", "options")}


def _cloud(job: Job, side: str, thing: Thing, options: CloudOptions, seed: int) -> PointCloud:
    mask = job.path(f"{side}_mask")
    within = open_file(mask, ("labels",)).content if mask else None
    return cloud_of(thing.content, options, within, seed, thing.path)


def read_pair(job: Job, kind: str, read) -> tuple[Any, Any] | None:
    """What both sides were given of one kind, or None; one side alone is an error."""
    paths = [job.path(f"{side}_{kind}") for side in ("fixed", "moving")]
    if (paths[0] is None) != (paths[1] is None):
        lone = paths[0] or paths[1]
        raise RegistrationError(f"{lone} has no counterpart: give the {kind} of the fixed and of the moving side.")
    return (read(paths[0]), read(paths[1])) if paths[0] else None


def check_overlap(fixed: Thing, moving: Thing, initial: Transform | None) -> None:
    """Raises `RegistrationError` where two images have nothing in common in space."""
    if fixed.kind != "image" or moving.kind != "image" or boxes_overlap(fixed.content, moving.content, initial):
        return
    where = "even after the initial transform" if initial is not None else "in RAS mm"
    raise RegistrationError(
        f"{fixed.path} and {moving.path} do not overlap {where}: check their geometry, or bring them together with an "
        "initial transform or an initialization by center or landmarks."
    )
