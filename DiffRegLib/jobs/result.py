"""The files of a finished registration, named the same for every method."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from DiffRegLib.files import Opened, carry, frame, matched_labels, suffix_for, write, write_image
from DiffRegLib.jobs.job import INVERSE, METRICS, OVERVIEW, TRANSFORM
from DiffRegLib.jobs.output import OutputOptions
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.ops.device import release_freed
from DiffRegLib.points.listed import Pairs, paired
from DiffRegLib.review.pictures import overview
from DiffRegLib.review.report import measure
from DiffRegLib.review.stored import finite
from DiffRegLib.transforms import write_transform

if TYPE_CHECKING:
    from DiffRegLib.files.structures import LabelMaps
    from DiffRegLib.geometry import Geometry
    from DiffRegLib.methods.registration import Registration, Support

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
    """Writes transform.h5, inverse.h5 and metrics.json into `folder`.

    Of a pair also warped_moving.*, support.nii.gz where the method knows it, and as `output` wishes warped_fixed.* and
    overview.png, unless the method has drawn one. inputs: the opened inputs by role; two label maps that were
    registered count as labels themselves.
    """
    write_transform(registration.transform, folder / TRANSFORM)
    write_transform(registration.inverse, folder / INVERSE)
    pair = tuple(inputs[side] for side in SIDES) if all(side in inputs for side in SIDES) else None
    metrics: dict[str, Any] = {}
    pairs = _landmarks(inputs)
    if pair is not None:
        report(0.92, "Warping the input.")
        _write_warped(folder, registration, pair, output)
        report(0.95, "Measuring.")
        metrics = _measures(registration, pair, pairs, _labels(inputs))
        if registration.support is not None:
            metrics["support"] = _support(registration.support, frame(*pair))
            write_image(registration.support.distance, folder / SUPPORT)
    notes = [*metrics.get("notes", ()), *registration.metrics.get("notes", ())]
    write_metrics(folder / METRICS, {**metrics, **registration.metrics, "notes": notes, **_facts(registration)})
    if pair is not None and output.overview and not (folder / OVERVIEW).exists():
        report(0.97, "Drawing the overview.")
        _draw(folder / OVERVIEW, registration, pair, None if pairs is None else (pairs.fixed, pairs.moving))


def _landmarks(inputs: Mapping[str, Any]) -> Pairs | None:
    """The landmarks of both sides, matched."""
    found = [inputs.get(f"{side}_landmarks") for side in SIDES]
    return None if None in found else paired(*(side.content for side in found), tuple(side.path for side in found))


def _labels(inputs: Mapping[str, Any]) -> LabelMaps | None:
    """The label maps of both sides, matched: those for the measures, or the sides themselves where they are labels."""
    for names in (("fixed_labels", "moving_labels"), SIDES):
        found = [inputs.get(name) for name in names]
        if None not in found and all(side.kind == "labels" for side in found):
            return matched_labels(*found)
    return None


def _write_warped(folder: Path, registration: Registration, pair: tuple[Opened, Opened], output: OutputOptions) -> None:
    fixed, moving = pair
    transform, inverse = registration.transform, registration.inverse
    sides = [("moving", moving, transform, inverse, frame(fixed, moving))]
    if output.warped_fixed:
        sides.append(("fixed", fixed, inverse, transform, frame(moving, fixed)))

    for name, side, pull, push, like in sides:  # one after the other, each on all cores: half the memory
        release_freed()
        write(carry(side, pull, push, like), folder / f"warped_{name}{suffix_for(side)}")
    release_freed()


def _measures(
    registration: Registration, pair: tuple[Opened, Opened], pairs: Pairs | None, labels: LabelMaps | None
) -> dict[str, Any]:
    maps, names = ((labels.fixed, labels.moving), labels.names) if labels else (None, None)
    found = measure(registration.transform, frame(*pair), pairs, maps, names=names).to_dict()
    notes = [note for side in pair for note in (side.guess, *side.notes)]
    notes += [known.note for known in (pairs, labels) if known]
    return {**found, "notes": [note for note in notes if note]}


def _support(support: Support, geometry: Geometry) -> dict[str, Any]:
    """How much of the fixed image lies within reach of data, on a grid of some 65,000 places."""
    coarse = geometry.resized((float(geometry.size.prod() * geometry.spacing.prod()) / 2**16) ** (1 / 3))
    share = float(support.covers(coarse.grid()).double().mean())
    return {"reach_mm": support.reach, "percent": round(100 * share, 1), "outside": support.outside}


def _draw(
    path: Path, registration: Registration, pair: tuple[Opened, Opened], landmarks: tuple[Tensor, Tensor] | None
) -> None:
    fixed, moving = pair
    images = fixed.kind == moving.kind and fixed.kind in ("image", "labels")
    clouds = registration.clouds or tuple(side.points() for side in pair)
    overview(
        path,
        registration.transform,
        *((fixed.content, moving.content) if images else clouds),
        labels=images and fixed.kind == "labels",
        title=f"{Path(moving.path).name} onto {Path(fixed.path).name}",
        landmarks=landmarks,
        trace=registration.trace,
        support=registration.support,
    )


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """One measure a line, so that the long trace does not bury the others; numbers that are not finite as null."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(finite(value))}" for name, value in metrics.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _facts(registration: Registration) -> dict[str, Any]:
    provenance = registration.provenance
    return {
        "inverse_residual_mm": registration.inverse_residual_mm,
        "seconds": provenance.seconds,
        "peak_memory_mb": provenance.peak_memory_mb,
        "trace": [dataclasses.asdict(row) for row in registration.trace],
    }
