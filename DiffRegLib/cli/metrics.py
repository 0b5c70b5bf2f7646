"""The table that ends a registration and an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.cli.show import table

FILE = "metrics.json"
MOST_LABELS = 12


def show_result(folder: Path) -> None:
    """Prints what `metrics.json` of a result says."""
    show_metrics(f"Result in {folder}", json.loads((folder / FILE).read_text(encoding="utf-8")))


def show_metrics(title: str, metrics: Mapping[str, Any]) -> None:
    """Prints the measures that there are, before and after."""
    rows = [*_landmarks(metrics), *_dice(metrics), *_single(metrics)]
    table(title, ("", "before", "after"), rows)


def _landmarks(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if "landmarks" not in metrics:
        return []
    found = metrics["landmarks"]
    before, after = found["before_mm"], found["after_mm"]
    names = {"mean": "mean", "median": "median", "p90": "90th percentile", "max": "largest"}
    title = f"target registration error of {found['count']} landmarks"
    return [
        (
            f"{title if key == 'mean' else ''}{', ' if key == 'mean' else '  '}{name} [mm]",
            _mm(before[key]),
            _mm(after[key]),
        )
        for key, name in names.items()
    ]


def _dice(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if "dice" not in metrics:
        return []
    found = metrics["dice"]
    labels = list(found["labels"].items())
    rows = [(f"  label {key}", _ratio(v["before"]), _ratio(v["after"])) for key, v in labels[:MOST_LABELS]]
    rest = [(f"  and {len(labels) - MOST_LABELS} more labels", "", "")] if len(labels) > MOST_LABELS else []
    several = [*rows, *rest] if len(labels) > 1 else []
    return [
        (
            "Dice overlap" + (f", mean of {len(labels)} labels" if len(labels) > 1 else ""),
            _ratio(found["before"]),
            _ratio(found["after"]),
        ),
        *several,
    ]


def _single(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    shown = (
        ("folded_percent", "folded voxels [%]", "{:.3f}"),
        ("inverse_residual_mm", "residual of the inverse, largest [mm]", "{:.3f}"),
        ("seconds", "time [s]", "{:.1f}"),
        ("peak_memory_mb", "peak memory [MB]", "{:.0f}"),
    )
    return [(name, "", form.format(metrics[key])) for key, name, form in shown if metrics.get(key) is not None]


def _mm(value: float) -> str:
    return f"{value:.2f}"


def _ratio(value: float) -> str:
    return f"{value:.3f}"
