"""The training of neural registration from files: images in, a model out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.files import read_image
from DiffRegLib.methods.neural.encoder import averaged
from DiffRegLib.methods.neural.training import CHECKPOINT, CHECKPOINT_FORM, Trainer, train
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.methods.registration import Progress
from DiffRegLib.options import from_dict
from DiffRegLib.training.tensors import read_tensors

KEPT = 2
"""Images are kept at so many times the width that the encoder sees: training holds all of them."""


def run(
    inputs: Mapping[str, str], options: Mapping[str, Mapping[str, Any]], folder: Path, resume: bool, progress: Progress
) -> str:
    """Trains into `folder` and returns a sentence on what came of it; see `DiffRegLib.methods.method.Training`."""
    stored = read_tensors(folder / CHECKPOINT, CHECKPOINT_FORM)[1]["options"] if resume else {}
    chosen = from_dict(NeuralTrainingOptions, {**stored, **options["training"]})
    paths = sorted(inputs, key=lambda role: int(role.rpartition("_")[2]))
    images = [averaged(read_image(inputs[role]), KEPT * chosen.width) for role in paths]
    trainer = Trainer(images, chosen)
    if resume:
        trainer.resume(folder)
    if trainer.steps >= chosen.iterations:
        return f"{folder} has been trained for {trainer.steps} steps already; nothing was run."
    last = train(trainer, folder, progress)
    return f"Wrote {folder}, {1 - last.similarity:.3f} similarity on average over the last tenth of the steps."
