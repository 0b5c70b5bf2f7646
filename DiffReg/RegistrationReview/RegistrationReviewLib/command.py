"""From the nodes that the panel names to the command line of their review."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import make_job
from DiffRegLib.jobs.job import METRICS
from DiffRegLib.methods import method
from DiffRegLib.mrml.export import Exported, check_input, export, export_transform
from DiffRegLib.mrml.panel.option_parameters import read_options
from DiffRegLib.mrml.panel.review import JOB
from DiffRegLib.mrml.seen import kind_of
from DiffRegLib.mrml.segments import matched_values
from RegistrationReviewLib.parameters import GROUPS, INPUTS

TRANSFORMS = ("transform", "inverse")
PAIRED = (("fixed_labels", "moving_labels"), ("fixed_landmarks", "moving_landmarks"))


def why_not(parameters: Any) -> str:
    """Why nothing can be reviewed yet, in one sentence, or ""."""
    if parameters.pose_result:
        return _fault_of_pose(Path(parameters.pose_result))
    if parameters.fixed is None or parameters.transform is None:
        return _("Choose a fixed image and a transform.")
    for first, second in PAIRED:
        if (parameters.getValue(first) is None) != (parameters.getValue(second) is None):
            titles = (INPUTS[role][0] for role in (first, second))
            return _("{a} and {b} belong together: choose both or none.").format(**dict(zip("ab", titles)))
    if parameters.repeats and job_of(parameters) is None:
        return _("Nobody has noted how {name} was made: set the repeats to 0.").format(
            name=f'"{parameters.transform.GetName()}"'
        )
    try:
        for role in INPUTS:
            node = parameters.getValue(role)
            if node is not None and role not in TRANSFORMS:
                check_input(node)
        read_options(parameters, GROUPS)
    except RegistrationError as error:
        return str(error)
    return ""


def job_of(parameters: Any) -> Mapping[str, Any] | None:
    """Method and options with which the transform was made, where that is noted, and the moving image is known."""
    noted = parameters.transform.GetAttribute(JOB) if parameters.transform is not None else None
    return json.loads(noted) if noted and parameters.moving is not None else None


def arguments(parameters: Any, folder: Path) -> tuple[list[str], list[Exported]]:
    """What follows `diffreg review`, and the nodes that were written into the folder for it.

    Raises RegistrationError where something cannot be written.
    """
    if parameters.pose_result:
        return [parameters.pose_result], []
    exported = _export(parameters, folder)
    given = []
    if parameters.repeats:
        given += [str(_result(parameters, folder, exported)), "--again", str(parameters.repeats)]
    for one in exported:
        if one.role not in TRANSFORMS or not parameters.repeats:
            given += [f"--{one.role.replace('_', '-')}", str(one.path)]
    for name, value in read_options(parameters, GROUPS)["limits"].items():
        given += [f"--{name.replace('_', '-')}", str(value)]
    return given, exported


def _fault_of_pose(folder: Path) -> str:
    try:
        if "verdict" in json.loads((folder / METRICS).read_text(encoding="utf-8")):
            return ""
    except (OSError, ValueError):
        pass
    return _("{folder} holds no pose: choose the result folder of one, or empty the line.").format(folder=folder)


def _export(parameters: Any, folder: Path) -> list[Exported]:
    nodes = {role: node for role in INPUTS if (node := parameters.getValue(role)) is not None}
    labels = [nodes.get(role) for role in PAIRED[0]]
    values = None
    if all(node is not None and kind_of(node) == "segmentation" for node in labels):
        values, _notes = matched_values(*labels)
    exported = []
    for role, node in nodes.items():
        if role in TRANSFORMS:
            exported.append(export_transform(node, parameters.fixed, folder, role))
        else:
            exported.append(export(node, folder, role, values if role in PAIRED[0] else None))
    return exported


def _result(parameters: Any, folder: Path, exported: Sequence[Exported]) -> Path:
    """A result folder of what was written, as if it were the job's own, so that the job can be run again."""
    noted, target = job_of(parameters), folder / "result"
    roles = {one.role for one in method(noted["method"]).inputs}
    inputs = {one.role: one.path for one in exported if one.role in roles}
    labels = {one.role: one.labels for one in exported if one.role in roles and one.labels is not None}
    make_job(target, noted["method"], inputs, noted["options"], checksums=False, labels=labels)
    for one in exported:
        if one.role in TRANSFORMS:
            shutil.copyfile(one.path, target / f"{one.role}.h5")
    return target
