"""Supervoxel registration from opened files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.files import write_image
from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.registration import Part, Progress, Registration
from DiffRegLib.methods.supervoxels.model import Model, read_model
from DiffRegLib.methods.supervoxels.pipeline import by_network, by_reference, once_more, register
from DiffRegLib.methods.supervoxels.preparation import boxed
from DiffRegLib.methods.supervoxels.reference import align

SIDES = ("fixed", "moving")
LAYERS = "supervoxels_{}.nii.gz"
PASSES = (
    2  # chosen on motions made of the scan that a network knows (`Testing/studies`); the third gained nothing there
)
FOUND, MATCHED = 0.4, 0.7  # of the progress, where the supervoxels of both scans are known, and where they match


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Registers two CTs and writes the supervoxels of both; see `DiffRegLib.methods.method.Method`."""
    given, chosen = [inputs.get(f"{side}_landmarks") for side in SIDES], options["supervoxels"]
    landmarks = tuple(points.points() for points in given) if all(given) else None
    initial = inputs["initial"].content if "initial" in inputs else None
    scans, names = tuple(inputs[side].content for side in SIDES), tuple(inputs[side].path for side in SIDES)
    model = _model(inputs, options)
    if model is not None:
        progress(0.05, "Predicting the supervoxels of both scans.")
        sides = by_network(scans, model, initial, names, chosen.device)
    else:
        progress(0.05, "Dividing the reference into supervoxels and carrying them to the scans.")
        reference = inputs["reference"].content if "reference" in inputs else None
        divided = options["preparation"], options["segmentation"]
        sides = by_reference(scans, reference, align, initial, *divided, chosen.seed, names)
    for name, side in zip(SIDES, sides):
        write_image(side.map, folder / LAYERS.format(name), "uint8")
    passes = 1 if model is None else chosen.passes or (1 if chosen.finish else PASSES)
    found = register(*scans, chosen, initial, _pass(progress, 0, passes), landmarks, sides)
    for number in range(1, passes) if model is not None else ():
        part = _pass(progress, number, passes)
        found = once_more(found, scans, sides[0], model, chosen, names, part, landmarks)
    if not chosen.finish:
        return found
    return finished(found, scans, chosen.device, Part(progress, MATCHED, 1.0), landmarks, chosen.landmark_weight)


def _pass(progress: Progress, number: int, passes: int) -> Progress:
    """The stretch of the progress that a pass takes."""
    length = (MATCHED - FOUND) / passes
    return Part(progress, FOUND + number * length, FOUND + (number + 1) * length)


def _model(inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Model | None:
    """The network, where there is one; raises RegistrationError for one of another reference or count of layers."""
    if "model" not in inputs:
        return None
    model, reference = read_model(inputs["model"].path), inputs.get("reference")
    model.check_layers(options["segmentation"])
    if reference is not None:
        known = boxed(reference.content, model.preparation, reference.path).continued()
        model.check_reference(known, reference.path)
    return model
