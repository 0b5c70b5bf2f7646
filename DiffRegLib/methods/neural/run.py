"""The neural field from opened files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.methods.neural.field import NeuralField
from DiffRegLib.methods.neural.pipeline import new_field, register
from DiffRegLib.methods.registration import Progress, Registration

FIELD = "field.safetensors"


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Registers the two images; see `DiffRegLib.methods.method.Method`."""
    neural = options["neural"]
    content = {role: thing.content for role, thing in inputs.items() if hasattr(thing, "content")}
    fixed, moving = content["fixed"], content["moving"]
    landmarks = [content.get(f"{side}_landmarks") for side in ("fixed", "moving")]
    if "field" in inputs:
        field = NeuralField.load(inputs["field"].path, fixed)
    else:
        field = new_field(fixed, neural)
    registration = register(
        fixed,
        moving,
        neural,
        initial=content.get("initial"),
        progress=progress,
        landmarks=tuple(landmarks) if landmarks[0] is not None and landmarks[1] is not None else None,
        masks=(content.get("fixed_mask"), content.get("moving_mask")),
        field=field,
    )
    if neural.save_field:
        field.save(folder / FIELD)
    return registration
