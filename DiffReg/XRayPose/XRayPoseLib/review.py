"""The last result of the panel as a result folder, which Registration Review and `diffreg review` read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import make_job
from DiffRegLib.jobs.job import METRICS, TRANSFORM
from XRayPoseLib.plan import PosePlan

FOLDER = "diffreg-reviewed-pose"  # among the temporary files; one at a time


def write_result(parameters: Any) -> Path:
    """Writes CT and X-rays as they are in the scene, and the pose that was found; returns the folder.

    Raises RegistrationError where there is no result, or something cannot be written.
    """
    import torch

    from DiffRegLib.transforms import Affine, write_transform

    if not parameters.measures:
        raise RegistrationError(_("There is no result yet: press Refine or Find from scratch."))
    facts = json.loads(parameters.measures)
    start, end = (np.array(facts[when]["matrix"]) for when in ("start", "end"))
    folder = Path(slicer.app.temporaryPath) / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plan = PosePlan(parameters, False, start, lambda matrix: None)
    exported = _all_of(plan.export(folder))
    inputs = {one.role: one.path for one in exported}
    labels = {one.role: one.labels for one in exported if one.labels is not None}
    make_job(folder, plan.method, inputs, plan.options, checksums=False, labels=labels)
    write_transform(Affine(torch.from_numpy(end)), folder / TRANSFORM)
    (folder / METRICS).write_text(json.dumps(facts), encoding="utf-8")
    return folder


def _all_of(steps: Any) -> Any:
    """Goes through a generator at once; what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
