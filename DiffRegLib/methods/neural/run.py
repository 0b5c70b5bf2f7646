"""The neural field from opened files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.neural.field import NeuralField
from DiffRegLib.methods.neural.model import Model
from DiffRegLib.methods.neural.options import NeuralOptions
from DiffRegLib.methods.neural.pipeline import new_field, register
from DiffRegLib.methods.neural.prepare import Pair
from DiffRegLib.methods.neural.preview import Preview
from DiffRegLib.methods.registration import Progress, Registration

FIELD = "field.safetensors"


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Registers the two images; see `DiffRegLib.methods.method.Method`."""
    neural = options["neural"]
    content = {role: thing.content for role, thing in inputs.items() if hasattr(thing, "content")}
    fixed, moving = content["fixed"], content["moving"]
    landmarks = [content.get(f"{side}_landmarks") for side in ("fixed", "moving")]
    field = _start(inputs, content, neural)
    watch = Preview(folder, fixed, moving, content.get("initial")) if neural.preview else None
    registration = register(
        fixed,
        moving,
        neural,
        initial=content.get("initial"),
        progress=progress,
        landmarks=tuple(landmarks) if landmarks[0] is not None and landmarks[1] is not None else None,
        masks=(content.get("fixed_mask"), content.get("moving_mask")),
        field=field,
        watch=watch,
    )
    if watch is not None:
        watch.remove()
    if neural.save_field:
        field.save(folder / FIELD)
    return registration


def _start(inputs: Mapping[str, Any], content: Mapping[str, Any], options: NeuralOptions) -> NeuralField:
    """A field of an earlier run, one whose codes a model predicts, or one that moves nothing."""
    if "field" in inputs and "model" in inputs:
        raise RegistrationError(
            "Both {field} and {model} are given: choose one to start from.", option=("field", "model")
        )
    fixed = content["fixed"]
    if "field" in inputs:
        return NeuralField.load(inputs["field"].path, fixed)
    if "model" in inputs:
        return Model.load(inputs["model"].path).field(Pair(fixed, content["moving"], initial=content.get("initial")))
    return new_field(fixed, options)
