"""What ends a registration and an evaluation: the table of measures, and of a pose its numbers and its evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from DiffRegLib.cli.show import facts, table
from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs.job import METRICS

MOST_LABELS = 12


def show_result(folder: Path) -> None:
    """Prints what `metrics.json` of a result says; raises RegistrationError where it cannot be read."""
    path = folder / METRICS
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RegistrationError(f"{path} cannot be read, the result is damaged: run it again.", path=path) from None
    if "verdict" in metrics:
        show_pose(f"Pose in {folder}", metrics)
    else:
        show_metrics(f"Result in {folder}", metrics)


def show_pose(title: str, found: Mapping[str, Any]) -> None:
    """Prints a pose, and how sure it is."""
    names = ("rx", "ry", "rz", "tx", "ty", "tz")
    units = ["degrees"] * 3 + ["mm"] * 3
    start, end = (found[side]["rotation_degrees"] + found[side]["translation_mm"] for side in ("start", "end"))
    rows = [
        (f"{n} [{u}]", f"{round(a, 3) + 0:.3f}", f"{round(b, 3) + 0:.3f}")
        for n, u, a, b in zip(names, units, start, end)
    ]
    table(title, ("about the center of the CT", "start", "end"), rows)
    sure, change = found["uncertainty"], found["change"]
    reason = f": {found['reason']}" if found["reason"] else ""
    pairs = [
        ("verdict", found["verdict"] + reason),
        *((("next", found["remedy"]),) if found.get("remedy") else ()),
        *_compared(found.get("standing")),
        ("change", f"{change['degrees']:.3f} degrees, {change['mm']:.3f} mm"),
        ("uncertainty", f"{_known(sure['point_mm'])} of a point, {_known(sure['depth_mm'])} in depth"),
        *((Path(x["file"]).name, x["grey_scale"]) for x in found["xrays"]),
        ("time", f"{found['seconds']:.1f} s"),
    ]
    facts("Evidence", pairs)


def _compared(standing: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """How well the rivals of a pose explain the radiographs, in percent of its own evidence."""
    if not standing:
        return []
    own = max(standing["evidence"], 1e-9)
    names = ("start", "elsewhere", "opposite", "oriented")
    words = ("the start", "a pose elsewhere", "the opposite polarity", f"the image {standing['orientation']}")
    rivals = [f"{word} {100 * standing[name] / own:.0f} %" for name, word in zip(names, words) if standing[name] > 0]
    shown = f"correlation {standing['correlation']:.2f} over {100 * standing['known']:.0f} % of the field"
    return [("evidence", shown), ("as well as it", ", ".join(rivals) or "nothing")]


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f} mm"


def show_metrics(title: str, metrics: Mapping[str, Any]) -> None:
    """Prints the measures that there are, before and after."""
    rows = [*_landmarks(metrics), *_dice(metrics), *_folds(metrics), *_single(metrics), *_supported(metrics)]
    table(title, ("", "before", "after"), rows)
    for note in metrics.get("notes", ()):
        print(note)


def _landmarks(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if "landmarks" not in metrics:
        return []
    found = metrics["landmarks"]
    before, after = found["before_mm"], found["after_mm"]
    names = {"mean": "mean", "median": "median", "p90": "90th percentile", "max": "largest"}
    of = f" of {found['of']}" if found.get("of", found["count"]) != found["count"] else ""
    by = f", matched by {found['matched_by']}" if "matched_by" in found else ""
    title = f"target registration error of {found['count']}{of} landmarks{by}"
    return [
        (
            f"{title if key == 'mean' else ''}{', ' if key == 'mean' else '  '}{name} [mm]",
            _mm(before[key]),
            _mm(after[key]),
        )
        for key, name in names.items()
    ] + _named("left out, not on both sides", found.get("left_out", []))


def _named(what: str, names: Sequence[str]) -> list[tuple[str, str, str]]:
    """A row that names what a mean does not cover."""
    if not names:
        return []
    rest = f" and {len(names) - MOST_LABELS} more" if len(names) > MOST_LABELS else ""
    return [(f"  {what}: {', '.join(names[:MOST_LABELS])}{rest}", "", "")]


def _dice(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if "dice" not in metrics:
        return []
    found = metrics["dice"]
    labels = list(found["labels"].items())
    rows = [(f"  label {key}", _ratio(v["before"]), _ratio(v["after"])) for key, v in labels[:MOST_LABELS]]
    rest = [(f"  and {len(labels) - MOST_LABELS} more labels", "", "")] if len(labels) > MOST_LABELS else []
    several = [*rows, *rest] if len(labels) > 1 else []
    of = f" of {found['of']}" if found.get("of", len(labels)) != len(labels) else ""
    mean = f", mean of {len(labels)}{of} labels" if len(labels) > 1 or of else ""
    return [
        (f"Dice overlap{mean}{_box(found)}", _ratio(found["before"]), _ratio(found["after"])),
        *several,
        *_named("only on the fixed side", found.get("only_fixed", [])),
        *_named("only on the moving side", found.get("only_moving", [])),
    ]


def _box(found: Mapping[str, Any]) -> str:
    if "box_ras_mm" not in found:
        return ""
    limits = ", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in zip("RAS", *found["box_ras_mm"]))
    return f", in {limits} mm"


def _folds(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if metrics.get("folded_percent") is None:
        return []
    counted = metrics.get("folds_counted")
    spacing = " x ".join(f"{s:.3g}" for s in counted["spacing_mm"]) if counted else ""
    where = f", of {counted['points']} points every {spacing} mm" if counted else ""
    return [(f"folded voxels [%]{where}", "", f"{metrics['folded_percent']:.3f}")]


def _supported(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = metrics.get("support")
    if found is None:
        return []
    return [
        (
            f"within {found['reach_mm']:.0f} mm of data; beyond, the field {found['outside']} [%]",
            "",
            f"{found['percent']:.1f}",
        )
    ]


def _single(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    shown = (
        ("inverse_residual_mm", "residual of the inverse, largest [mm]", "{:.3f}"),
        ("seconds", "time [s]", "{:.1f}"),
        ("peak_memory_mb", "peak memory [MB]", "{:.0f}"),
    )
    return [(name, "", form.format(metrics[key])) for key, name, form in shown if metrics.get(key) is not None]


def _mm(value: float) -> str:
    return f"{value:.2f}"


def _ratio(value: float) -> str:
    return f"{value:.3f}"
