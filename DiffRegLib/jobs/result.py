"""The files of a finished registration, named the same for every method."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.jobs.measures import manageable
from DiffRegLib.jobs.output import OutputOptions
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.jobs.sides import Thing, carry, extension, frame, write_thing
from DiffRegLib.review.pictures import overview
from DiffRegLib.review.report import measure
from DiffRegLib.transforms import write_transform

if TYPE_CHECKING:
    from DiffRegLib.methods.registration import Registration
    from DiffRegLib.points import PointCloud

TRANSFORM, INVERSE, METRICS, OVERVIEW = "transform.h5", "inverse.h5", "metrics.json", "overview.png"


def write_result(
    folder: Path,
    registration: Registration,
    things: tuple[Thing, Thing],
    clouds: tuple[PointCloud, PointCloud],
    landmarks: tuple[Tensor, Tensor] | None,
    labels: tuple[Image, Image] | None,
    report: Reporter,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Writes transform.h5, inverse.h5, warped_moving.*, metrics.json, warped_fixed.* and overview.png into `folder`.

    things, clouds, landmarks, labels: of the fixed and of the moving side; two label maps that were registered count as
    labels themselves. output: which of the last two are wanted.
    """
    transform, inverse = registration.transform, registration.inverse
    fixed, moving = things
    write_transform(transform, folder / TRANSFORM)
    write_transform(inverse, folder / INVERSE)
    report(0.92, "Warping the input.")
    warped_moving = carry(moving, transform, inverse, frame(fixed, moving))
    write_thing(warped_moving, folder / f"warped_moving{extension(moving)}")
    if output.warped_fixed:
        warped_fixed = carry(fixed, inverse, transform, frame(moving, fixed))
        write_thing(warped_fixed, folder / f"warped_fixed{extension(fixed)}")
    report(0.95, "Measuring.")
    if labels is None and fixed.is_labels and moving.is_labels:
        labels = (fixed.content, moving.content)
    metrics = measure(transform, manageable(frame(fixed, moving)), landmarks, labels).to_dict()
    _write_metrics(folder / METRICS, {**metrics, **_facts(registration)})
    if output.overview:
        report(0.97, "Drawing the overview.")
        _draw(folder / OVERVIEW, registration, things, clouds, landmarks)


def _draw(
    path: Path,
    registration: Registration,
    things: tuple[Thing, Thing],
    clouds: tuple[PointCloud, PointCloud],
    landmarks: tuple[Tensor, Tensor] | None,
) -> None:
    fixed, moving = things
    images = fixed.kind == moving.kind == "image" and fixed.is_labels == moving.is_labels
    shown = (fixed.content, moving.content) if images else clouds
    overview(
        path,
        registration.transform,
        *shown,
        labels=images and fixed.is_labels,
        title=f"{Path(moving.path).name} onto {Path(fixed.path).name}",
        landmarks=landmarks,
        trace=registration.trace,
    )


def _write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """One measure a line, so that the long trace does not bury the others."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in metrics.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _facts(registration: Registration) -> dict[str, Any]:
    provenance = registration.provenance
    return {
        "inverse_residual_mm": registration.inverse_residual_mm,
        "seconds": provenance.seconds,
        "peak_memory_mb": provenance.peak_memory_mb,
        "trace": [dataclasses.asdict(row) for row in registration.trace],
    }
