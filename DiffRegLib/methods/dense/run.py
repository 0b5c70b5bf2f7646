"""Image-driven registration from opened files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.methods.dense.pipeline import register
from DiffRegLib.methods.registration import Progress, Registration

SIDES = ("fixed", "moving")


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Registers two images; see `DiffRegLib.methods.method.Method`."""
    landmarks = [inputs.get(f"{side}_landmarks") for side in SIDES]
    masks = [inputs.get(f"{side}_mask") for side in SIDES]
    initial = inputs.get("initial")
    return register(
        *(inputs[side].content for side in SIDES),
        options["dense"],
        initial=initial.content if initial is not None else None,
        progress=progress,
        landmarks=tuple(points.points() for points in landmarks) if all(landmarks) else None,
        masks=tuple(mask.content if mask is not None else None for mask in masks),
    )
