"""The training of neural registration from files: images in, a model out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib.files import read_image
from DiffRegLib.methods.neural.encoder import averaged
from DiffRegLib.methods.neural.training import FieldLearner
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.methods.registration import Progress
from DiffRegLib.options import from_dict
from DiffRegLib.training.checkpoint import stored_options
from DiffRegLib.training.options import RunOptions
from DiffRegLib.training.trainer import train

KEPT = 2
"""Images are kept at so many times the width that the encoder sees: training holds all of them."""


def run(
    inputs: Mapping[str, str], options: Mapping[str, Mapping[str, Any]], folder: Path, resume: bool, progress: Progress
) -> str:
    """Trains into `folder` and returns a sentence on what came of it; see `DiffRegLib.methods.method.Training`."""
    stored = stored_options(folder)["training"] if resume else {}
    chosen = from_dict(NeuralTrainingOptions, {**stored, **options["training"]})
    paths = [path for role, path in inputs.items() if role.startswith("images")]
    images = [averaged(read_image(path), KEPT * chosen.width) for path in paths]
    learner = FieldLearner(images, chosen)
    run_options = from_dict(RunOptions, dict(options["run"]))
    means = train(learner, run_options, folder, {"images": len(images)}, resume, progress)
    return f"Wrote {folder}, {1 - means['similarity']:.3f} similarity on average over the last steps."
