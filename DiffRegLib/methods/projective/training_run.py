"""The training of the learned similarity from files: one CT and its segmentation in, weights out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.start import view_camera
from DiffRegLib.methods.projective.training import SimilarityLearner
from DiffRegLib.methods.projective.training_options import NetworkOptions, OrganOptions, TrainingOptions
from DiffRegLib.methods.registration import Progress
from DiffRegLib.options import from_dict
from DiffRegLib.radiographs.attenuation import AIR, attenuation, check_hounsfield, keep_only
from DiffRegLib.radiographs.options import CameraOptions
from DiffRegLib.training.checkpoint import stored_options
from DiffRegLib.training.options import RunOptions
from DiffRegLib.training.trainer import train


def run(
    inputs: Mapping[str, str], options: Mapping[str, Mapping[str, Any]], folder: Path, resume: bool, progress: Progress
) -> str:
    """Trains into `folder` and returns a sentence on what came of it; see `DiffRegLib.methods.method.Training`.

    inputs: role -> path. options: the values that were given; the rest are the defaults, or those of the checkpoint.
    """
    labels = from_dict(OrganOptions, dict(options["organs"])).labels
    view = from_dict(CameraOptions, dict(options["view"]))
    stored = stored_options(folder) if resume else {}
    shape, training = (
        from_dict(cls, {**stored.get(group, {}), **options[group]})
        for group, cls in (("network", NetworkOptions), ("training", TrainingOptions))
    )
    volume, organs, center = _read(inputs["ct"], inputs["organs"], labels)
    camera, pose = view_camera(inputs.get("geometry"), view, center)
    learner = SimilarityLearner(
        volume, organs, camera, torch.eye(4).double() if pose is None else pose, shape, training
    )
    facts = {"ct": Path(inputs["ct"]).name, "labels": list(labels)}
    means = train(learner, from_dict(RunOptions, dict(options["run"])), folder, facts, resume, progress)
    return f"Wrote {folder}, mean loss of the last steps {means['loss']:.4g}."


def _read(ct_path: str, organs_path: str, labels: Sequence[int]) -> tuple[Image, Tensor, Tensor]:
    """Attenuation of the CT, on its grid where the chosen labels are, and the center (3,) in RAS mm."""
    ct = read_image(ct_path)
    check_hounsfield(ct, ct_path)
    solid = Image(ct.data * 0 + 1, ct.affine)
    return attenuation(ct), (keep_only(solid, read_image(organs_path), labels).data > AIR).float(), ct.center
