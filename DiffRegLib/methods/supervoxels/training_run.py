"""The training of the network from files: a reference and scans of other patients in, weights out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image
from DiffRegLib.files.opening import open_file
from DiffRegLib.image import Image
from DiffRegLib.methods.registration import Part, Progress
from DiffRegLib.methods.supervoxels.deeds import read_deeds
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.model import means, read_model
from DiffRegLib.methods.supervoxels.options import (
    PreparationOptions,
    ReferenceOptions,
    SegmentationOptions,
    TrainingOptions,
)
from DiffRegLib.methods.supervoxels.pipeline import carry
from DiffRegLib.methods.supervoxels.preparation import boxed, prepare
from DiffRegLib.methods.supervoxels.reference import align
from DiffRegLib.methods.supervoxels.training import Example, SupervoxelLearner
from DiffRegLib.options import from_dict
from DiffRegLib.training.checkpoint import stored_options
from DiffRegLib.training.options import CHECKPOINT, RunOptions
from DiffRegLib.training.tensors import read_tensors, write_tensors
from DiffRegLib.training.trainer import train

CARRIED = "examples.safetensors"
CARRIED_FORM = "scans with carried supervoxels, version 1"
PREPARED = 0.1  # of the progress, where the reference has been registered to every scan


def run(
    inputs: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], folder: Path, resume: bool, progress: Progress
) -> str:
    """Trains into `folder` and returns a sentence on what came of it; see `DiffRegLib.methods.method.Training`.

    inputs: role -> path. options: the values that were given; the rest are the defaults, or those of the checkpoint.
    resume: one that has no checkpoint yet begins with the scans that it had prepared.
    """
    begun = resume and (folder / CHECKPOINT).exists()
    stored = stored_options(folder) if begun else {}
    training = from_dict(TrainingOptions, {**stored.get("training", {}), **options["training"]})
    if resume:
        examples, preparation, classes = _kept(folder)
        _check_same(inputs["reference"], examples[0], preparation, folder)
    else:
        preparation = from_dict(PreparationOptions, dict(options["preparation"]))
        segmentation = from_dict(SegmentationOptions, dict(options["segmentation"]))
        deeds = from_dict(ReferenceOptions, dict(options["reference"])).deeds
        classes = segmentation.classes
        examples = _examples(inputs, preparation, segmentation, training.seed, deeds, Part(progress, 0.0, PREPARED))
    learner = SupervoxelLearner(examples, classes, preparation, training)
    if not begun:
        _begin_with(inputs.get("start"), learner, inputs["reference"])
    if not resume:
        _keep(folder, examples, preparation, classes)
    names = [Path(path).name for path in scans_of(inputs)]
    facts = {"reference": names[0], "scans": names[1:], "means": means(examples[0].scan)}
    facts["division"] = _digest(examples[0])
    run_options = from_dict(RunOptions, dict(options["run"]))
    last = train(learner, run_options, folder, facts, begun, Part(progress, PREPARED, 1.0))
    return f"Wrote {folder}, {100 * last['right']:.0f} % of the voxels right in the last steps."


def scans_of(inputs: Mapping[str, Any]) -> list[str]:
    """The paths of the reference and of the other scans."""
    return [inputs["reference"], *_many(inputs, "scan")]


def _many(inputs: Mapping[str, Any], role: str) -> list[str]:
    return [path for name, path in inputs.items() if name.startswith(f"{role}_")]


def _examples(
    inputs: Mapping[str, Any],
    preparation: PreparationOptions,
    segmentation: SegmentationOptions,
    seed: int,
    deeds: str,
    progress: Progress,
) -> list[Example]:
    """The reference, and every scan with the supervoxels of the reference carried to it."""
    paths, maps = scans_of(inputs), _many(inputs, "labels")
    if maps and len(maps) != len(paths):
        raise RegistrationError(
            f"{len(maps)} label maps are given for {len(paths)} scans: give one of each, the reference first."
        )
    if deeds:
        _check_stems(paths[1:])
    scan = read_image(paths[0])
    whole, known = prepare(scan, preparation, paths[0]), boxed(scan, preparation, paths[0])
    reference = known.scan
    progress(0.0, "Dividing the reference into supervoxels.")
    layers = divide(reference, segmentation, seed, paths[0])
    examples = [Example(known.continued().data, layers, _labels(maps, 0, reference))]
    for number, path in enumerate(paths[1:], 1):
        progress(number / len(paths), f"Registering {Path(path).name} with the reference.")
        scan = read_image(path)
        other = boxed(scan, preparation, path)
        if deeds:
            transform = read_deeds(Path(deeds) / stem(path), prepare(scan, preparation, path), whole)
        else:
            transform = align(other, known)
        carried = carry(layers, reference, other.scan, transform)
        examples.append(Example(other.continued().data, carried, _labels(maps, number, other.scan)))
    return examples


def _labels(maps: list[str], number: int, scan: Image) -> Tensor | None:
    """(1, D, H, W) integers on the grid of a scan, of its label map where there are any."""
    if not maps:
        return None
    found = open_file(maps[number], labels=True).content.resample(scan, mode="nearest").data
    if not bool(found.any()):
        raise RegistrationError(
            f"{maps[number]} names nothing in the scan that it belongs to: give label maps in the order of the scans.",
            path=maps[number],
        )
    return found


def _begin_with(path: str | None, learner: SupervoxelLearner, name: str) -> None:
    """Gives a learner the weights of a network of the same reference, division and preparation, or raises."""
    if path is None:
        if learner.options.settled:
            message = "Means have settled in a network alone: name it with --start, or leave out {settled}."
            raise RegistrationError(message, option="settled")
        return
    model, network = read_model(path), learner.network
    model.check_reference(Image(learner.examples[0].scan, torch.eye(4)), name)
    same = (model.network.layers, model.network.classes) == (network.layers, network.classes)
    if not same or model.preparation != learner.preparation:
        raise RegistrationError(
            f"{path} was trained with another box or another count of layers: use its options, or none to start with.",
            path=path,
        )
    if model.facts.get("division") not in (None, _digest(learner.examples[0])):
        raise RegistrationError(
            f"{path} knows another division of {name}: use the seed and the segmentation of its training.", path=path
        )
    network.load_state_dict(model.network.state_dict())


def _digest(reference: Example) -> str:
    """By which a division is known."""
    return hashlib.sha256(reference.layers.numpy().tobytes()).hexdigest()


def _check_same(path: str, example: Example, preparation: PreparationOptions, folder: Path) -> None:
    """Raises RegistrationError where the scan of a path is not the reference of a training in a folder."""
    scan = boxed(read_image(path), preparation, path).continued().data
    if means(scan) != means(example.scan):
        raise RegistrationError(f"{folder} was trained for another reference: name that to resume.", path=path)


def _check_stems(paths: list[str]) -> None:
    """Raises RegistrationError where two scans would take the same files of deeds."""
    stems = [stem(path) for path in paths]
    for path in paths:
        if stems.count(stem(path)) > 1:
            raise RegistrationError(
                f"{path} has the name of another scan up to its first dot, by which deeds' files are found: rename it.",
                path=path,
            )


def stem(path: str) -> str:
    """The name of a scan without its extensions, by which deeds' files are found."""
    return Path(path).name.split(".")[0]


def _keep(folder: Path, examples: list[Example], preparation: PreparationOptions, classes: int) -> None:
    """The examples as a file of the training, so that going on registers nothing again."""
    tensors = {f"scan.{n}": e.scan for n, e in enumerate(examples)}
    tensors |= {f"layers.{n}": e.layers for n, e in enumerate(examples)}
    tensors |= {f"labels.{n}": e.labels for n, e in enumerate(examples) if e.labels is not None}
    write_tensors(folder / CARRIED, tensors, {"preparation": vars(preparation), "classes": classes}, CARRIED_FORM)


def _kept(folder: Path) -> tuple[list[Example], PreparationOptions, int]:
    tensors, content = read_tensors(folder / CARRIED, CARRIED_FORM)
    count = sum(name.startswith("scan.") for name in tensors)
    if not count:
        raise RegistrationError(f"{folder} holds no scans of a training: train without resuming.", path=folder)
    examples = [Example(*(tensors.get(f"{part}.{n}") for part in ("scan", "layers", "labels"))) for n in range(count)]
    return examples, from_dict(PreparationOptions, content["preparation"]), int(content["classes"])
