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
from DiffRegLib.transforms import Transform

FIELD = "field.safetensors"


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Registers the two images; see `DiffRegLib.methods.method.Method`."""
    neural = options["neural"]
    content = {role: thing.content for role, thing in inputs.items() if hasattr(thing, "content")}
    fixed, moving = content["fixed"], content["moving"]
    landmarks = [content.get(f"{side}_landmarks") for side in ("fixed", "moving")]
    field, initial = _start(inputs, content, neural)
    watch = Preview(folder, fixed, moving, initial) if neural.preview else None
    registration = register(
        fixed,
        moving,
        neural,
        initial=initial,
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


def _start(
    inputs: Mapping[str, Any], content: Mapping[str, Any], options: NeuralOptions
) -> tuple[NeuralField, Transform | None]:
    """A field of an earlier run, one whose codes a model predicts, or none; and the transform after it."""
    if "field" in inputs and "model" in inputs:
        raise RegistrationError(
            "Both {field} and {model} are given: choose one to start from.", option=("field", "model")
        )
    fixed, initial = content["fixed"], content.get("initial")
    if "field" in inputs:
        return NeuralField.load(inputs["field"].path, fixed), initial
    if "model" in inputs:
        model = Model.load(inputs["model"].path)
        pair = model.started(Pair(fixed, content["moving"], initial=initial))
        return model.field(pair), pair.initial
    return new_field(fixed, options), initial
