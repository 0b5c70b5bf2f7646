"""The files of a finished registration, named the same for every method."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from DiffRegLib.files import write_image
from DiffRegLib.jobs.job import INVERSE, METRICS, OVERVIEW, TRANSFORM
from DiffRegLib.jobs.measures import manageable
from DiffRegLib.jobs.output import OutputOptions
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.jobs.sides import Thing, carry, extension, frame, thing_of, write_thing
from DiffRegLib.review.pictures import overview
from DiffRegLib.review.report import measure
from DiffRegLib.transforms import write_transform

if TYPE_CHECKING:
    from DiffRegLib.methods.registration import Registration

SIDES = ("fixed", "moving")
SUPPORT = "support.nii.gz"
"""mm from each place of the fixed frame to the nearest datum that drove the field."""


def write_result(
    folder: Path,
    registration: Registration,
    inputs: Mapping[str, Any],
    report: Reporter,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Writes transform.h5, inverse.h5 and metrics.json into `folder`, and support.nii.gz where the method knows it.

    Of a pair also warped_moving.*, and as `output` wishes warped_fixed.* and overview.png, unless the method has drawn
    one. inputs: the opened inputs by role; two label maps that were registered count as labels themselves.
    """
    write_transform(registration.transform, folder / TRANSFORM)
    write_transform(registration.inverse, folder / INVERSE)
    pair = tuple(thing_of(inputs[side]) for side in SIDES) if all(side in inputs for side in SIDES) else None
    landmarks, labels = _given(inputs, "landmarks"), _given(inputs, "labels")
    landmarks = None if landmarks is None else tuple(side.points() for side in landmarks)
    labels = None if labels is None else tuple(side.content for side in labels)
    metrics: dict[str, Any] = {}
    if pair is not None:
        report(0.92, "Warping the input.")
        _write_warped(folder, registration, pair, output)
        report(0.95, "Measuring.")
        metrics = _measures(registration, pair, landmarks, labels)
    if registration.support is not None:
        write_image(registration.support.distance, folder / SUPPORT)
    write_metrics(folder / METRICS, {**metrics, **registration.metrics, **_facts(registration)})
    if pair is not None and output.overview and not (folder / OVERVIEW).exists():
        report(0.97, "Drawing the overview.")
        _draw(folder / OVERVIEW, registration, pair, landmarks)


def _given(inputs: Mapping[str, Any], kind: str) -> tuple[Any, Any] | None:
    found = tuple(inputs.get(f"{side}_{kind}") for side in SIDES)
    return None if None in found else found


def _write_warped(folder: Path, registration: Registration, pair: tuple[Thing, Thing], output: OutputOptions) -> None:
    fixed, moving = pair
    transform, inverse = registration.transform, registration.inverse
    warped_moving = carry(moving, transform, inverse, frame(fixed, moving))
    write_thing(warped_moving, folder / f"warped_moving{extension(moving)}")
    if output.warped_fixed:
        warped_fixed = carry(fixed, inverse, transform, frame(moving, fixed))
        write_thing(warped_fixed, folder / f"warped_fixed{extension(fixed)}")


def _measures(
    registration: Registration,
    pair: tuple[Thing, Thing],
    landmarks: tuple[Tensor, Tensor] | None,
    labels: tuple[Any, Any] | None,
) -> dict[str, Any]:
    fixed, moving = pair
    if labels is None and fixed.is_labels and moving.is_labels:
        labels = (fixed.content, moving.content)
    return measure(registration.transform, manageable(frame(fixed, moving)), landmarks, labels).to_dict()


def _draw(
    path: Path, registration: Registration, pair: tuple[Thing, Thing], landmarks: tuple[Tensor, Tensor] | None
) -> None:
    fixed, moving = pair
    images = fixed.kind == moving.kind == "image" and fixed.is_labels == moving.is_labels
    clouds = registration.clouds or tuple(side.points() for side in pair)
    overview(
        path,
        registration.transform,
        *((fixed.content, moving.content) if images else clouds),
        labels=images and fixed.is_labels,
        title=f"{Path(moving.path).name} onto {Path(fixed.path).name}",
        landmarks=landmarks,
        trace=registration.trace,
    )


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """One measure a line, so that the long trace does not bury the others; numbers that are not finite as null."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(_finite(value))}" for name, value in metrics.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _facts(registration: Registration) -> dict[str, Any]:
    provenance, support = registration.provenance, registration.support
    known = {} if support is None else {"support": {"reach_mm": support.reach, "outside": support.outside}}
    return {
        **known,
        "inverse_residual_mm": registration.inverse_residual_mm,
        "seconds": provenance.seconds,
        "peak_memory_mb": provenance.peak_memory_mb,
        "trace": [dataclasses.asdict(row) for row in registration.trace],
    }
