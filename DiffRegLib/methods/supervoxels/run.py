"""Supervoxel registration from opened files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DiffRegLib.files import write_image
from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.registration import Part, Progress, Registration
from DiffRegLib.methods.supervoxels.model import read_model
from DiffRegLib.methods.supervoxels.pipeline import Side, by_network, by_reference, register
from DiffRegLib.methods.supervoxels.preparation import boxed
from DiffRegLib.methods.supervoxels.reference import align

if TYPE_CHECKING:
    from DiffRegLib.transforms import Transform

SIDES = ("fixed", "moving")
LAYERS = "supervoxels_{}.nii.gz"
FOUND, MATCHED = 0.4, 0.7  # of the progress, where the supervoxels of both scans are known, and where they match


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Registers two CTs and writes the supervoxels of both; see `DiffRegLib.methods.method.Method`."""
    given, chosen = [inputs.get(f"{side}_landmarks") for side in SIDES], options["supervoxels"]
    landmarks = tuple(points.points() for points in given) if all(given) else None
    initial = inputs["initial"].content if "initial" in inputs else None
    sides = _sides(inputs, options, initial, progress)
    registration = register(
        *(inputs[side].content for side in SIDES),
        chosen,
        initial=initial,
        progress=Part(progress, FOUND, MATCHED),
        landmarks=landmarks,
        sides=sides,
    )
    for name, side in zip(SIDES, sides):
        write_image(side.map, folder / LAYERS.format(name), "uint8")
    if not chosen.finish:
        return registration
    scans = inputs["fixed"].content, inputs["moving"].content
    part = Part(progress, MATCHED, 1.0)
    return finished(registration, scans, chosen.device, part, landmarks, chosen.landmark_weight)


def _sides(
    inputs: Mapping[str, Any], options: Mapping[str, Any], initial: Transform | None, progress: Progress
) -> tuple[Side, Side]:
    """The supervoxels of both scans, by the network where there is one."""
    scans, names = tuple(inputs[side].content for side in SIDES), tuple(inputs[side].path for side in SIDES)
    reference = inputs.get("reference")
    if "model" in inputs:
        model = read_model(inputs["model"].path)
        model.check_layers(options["segmentation"])
        if reference is not None:
            known = boxed(reference.content, model.preparation, reference.path).continued()
            model.check_reference(known, reference.path)
        progress(0.05, "Predicting the supervoxels of both scans.")
        return by_network(scans, model, initial, names, options["supervoxels"].device)
    progress(0.05, "Dividing the reference into supervoxels and carrying them to the scans.")
    source = reference.content if reference is not None else None
    chosen = options["preparation"], options["segmentation"]
    return by_reference(scans, source, align, initial, *chosen, options["supervoxels"].seed, names)
