"""The training of the network from files: a reference and scans of other patients in, weights out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image
from DiffRegLib.methods.registration import Part, Progress
from DiffRegLib.methods.supervoxels.deeds import read_deeds
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.model import NETWORK
from DiffRegLib.methods.supervoxels.options import (
    PreparationOptions,
    ReferenceOptions,
    SegmentationOptions,
    TrainingOptions,
)
from DiffRegLib.methods.supervoxels.pipeline import carry
from DiffRegLib.methods.supervoxels.preparation import halved, prepare
from DiffRegLib.methods.supervoxels.reference import align
from DiffRegLib.methods.supervoxels.training import CHECKPOINT, FORM, Example, Trainer, train
from DiffRegLib.options import from_dict
from DiffRegLib.training.tensors import read_tensors, write_tensors

CARRIED = "examples.safetensors"
CARRIED_FORM = "scans with carried supervoxels, version 1"
PREPARED = 0.1  # of the progress, where the reference has been registered to every scan


def run(
    inputs: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], folder: Path, resume: bool, progress: Progress
) -> str:
    """Trains into `folder` and returns a sentence on what came of it; see `DiffRegLib.methods.method.Training`.

    inputs: role -> path. options: the values that were given; the rest are the defaults, or those of the checkpoint.
    """
    stored = read_tensors(folder / CHECKPOINT, FORM)[1] if resume else {}
    training = from_dict(TrainingOptions, {**stored.get("training", {}), **options["training"]})
    if resume:
        examples, preparation, classes = _kept(folder)
    else:
        preparation = from_dict(PreparationOptions, dict(options["preparation"]))
        segmentation = from_dict(SegmentationOptions, dict(options["segmentation"]))
        deeds = from_dict(ReferenceOptions, dict(options["reference"])).deeds
        classes = segmentation.classes
        examples = _examples(inputs, preparation, segmentation, training.seed, deeds, Part(progress, 0.0, PREPARED))
    trainer = Trainer(examples, classes, preparation, training)
    if resume:
        trainer.resume(folder)
    else:
        _keep(folder, examples, preparation, classes)
    done = len(trainer.trace)
    if done >= training.iterations and (folder / NETWORK).is_file():
        return f"{folder} has been trained for {done} steps already; nothing was run."
    names = [Path(path).name for path in scans_of(inputs)]
    train(trainer, folder, {"reference": names[0], "scans": names[1:]}, Part(progress, PREPARED, 1.0))
    steps = len(trainer.trace)
    right = 100 * sum(step.right for step in trainer.trace[-50:]) / min(50, steps)
    return f"Wrote {folder}, {right:.0f} % of the voxels right in the last of {steps} steps."


def scans_of(inputs: Mapping[str, Any]) -> list[str]:
    """The paths of the reference and of the other scans."""
    others = [path for role, path in inputs.items() if role.startswith("scan")]
    return [inputs["reference"], *others]


def _examples(
    inputs: Mapping[str, Any],
    preparation: PreparationOptions,
    segmentation: SegmentationOptions,
    seed: int,
    deeds: str,
    progress: Progress,
) -> list[Example]:
    """The reference, and every scan with the supervoxels of the reference carried to it."""
    paths = scans_of(inputs)
    whole = prepare(read_image(paths[0]), preparation, paths[0])
    reference = halved(whole)
    progress(0.0, "Dividing the reference into supervoxels.")
    layers = divide(reference, segmentation, seed, paths[0])
    examples = [Example(reference.data, layers)]
    for number, path in enumerate(paths[1:], 1):
        progress(number / len(paths), f"Registering {Path(path).name} with the reference.")
        boxed = prepare(read_image(path), preparation, path)
        scan = halved(boxed)
        if deeds:
            transform = read_deeds(Path(deeds) / stem(path), boxed, whole)
        else:
            transform = align(scan, reference)
        examples.append(Example(scan.data, carry(layers, reference, scan, transform)))
    return examples


def stem(path: str) -> str:
    """The name of a scan without its extensions, by which deeds' files are found."""
    return Path(path).name.split(".")[0]


def _keep(folder: Path, examples: list[Example], preparation: PreparationOptions, classes: int) -> None:
    """The examples as a file of the training, so that going on registers nothing again."""
    tensors = {f"scan.{n}": e.scan for n, e in enumerate(examples)}
    tensors |= {f"layers.{n}": e.layers for n, e in enumerate(examples)}
    write_tensors(folder / CARRIED, tensors, {"preparation": vars(preparation), "classes": classes}, CARRIED_FORM)


def _kept(folder: Path) -> tuple[list[Example], PreparationOptions, int]:
    tensors, content = read_tensors(folder / CARRIED, CARRIED_FORM)
    count = sum(name.startswith("scan.") for name in tensors)
    if not count:
        raise RegistrationError(f"{folder} holds no scans of a training: train without resuming.", path=folder)
    examples = [Example(tensors[f"scan.{n}"], tensors[f"layers.{n}"]) for n in range(count)]
    return examples, from_dict(PreparationOptions, content["preparation"]), int(content["classes"])
