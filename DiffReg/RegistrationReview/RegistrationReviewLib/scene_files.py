"""Results and transforms from files into the scene, and the way back to the method that made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import split_key
from DiffRegLib.jobs import read_job
from DiffRegLib.mrml.panel.review import JOB, MADE_BY
from DiffRegLib.mrml.results import Output, add, read_transform, read_volume
from RegistrationReviewLib.mending import pairs_of

FILTER = _("Results and transforms (job.json *.h5 *.hdf5 *.tfm *.txt *.mat *.nii *.nii.gz *.nrrd *.mha)")
POSES = "projective"  # the method whose results are poses
DEFAULT_MODULE = "SplatRegistration"
WEIGHT, PULL = "landmark_weight", 1.0
"""The option by which landmarks pull, in every method that lets them, and its value for pairs that were clicked."""


def load(path: str, parameters: Any) -> None:
    """A result's `job.json` brings transform, inverse and images, any other file a transform; they become the inputs.
    That of a pose is named as the result to review; its files stay where they are.

    Raises RegistrationError that names the file.
    """
    file = Path(path)
    if file.name == "job.json":
        if read_job(file.parent).method == POSES:
            parameters.pose_result = str(file.parent)
            return
        outputs = _of_result(file.parent)
    else:
        outputs = {"transform": Output(read_transform(file, file.stem))}
    placed = add(slicer.mrmlScene, outputs)
    with slicer.util.NodeModify(parameters.parameterNode):
        for role, node in placed.items():
            parameters.setValue(role, node)
        parameters.pose_result = ""


def _of_result(folder: Path) -> dict[str, Output]:
    job = read_job(folder)
    name = folder.parent.name if folder.name == "result" else folder.name
    transform = read_transform(folder / "transform.h5", name)
    transform.SetAttribute(JOB, json.dumps({"method": job.method, "options": job.options}))
    found = {
        "transform": Output(transform),
        "inverse": Output(read_transform(folder / "inverse.h5", _("{name} inverse").format(name=name))),
    }
    for role in ("fixed", "moving"):
        source = job.path(role)
        if source and Path(split_key(source)[0]).is_file() and source.lower().endswith((".nii", ".nii.gz", ".nrrd")):
            found[role] = Output(read_volume(source, Path(source).name.split(".")[0]))
    return found


def turn(parameters: Any) -> None:
    """The inverse takes the place of the transform; one is made where there is none."""
    transform, inverse = parameters.transform, parameters.inverse
    if inverse is None:
        name = _("{name} inverse").format(name=transform.GetName())
        inverse = slicer.mrmlScene.AddNewNodeByClass(transform.GetClassName(), name)
        inverse.CopyContent(transform)
        inverse.Inverse()
    with slicer.util.NodeModify(parameters.parameterNode):
        parameters.transform, parameters.inverse = inverse, transform


def register_again(parameters: Any) -> None:
    """Opens the panel of the method with these inputs, and with the pairs as landmarks that pull.

    Raises RegistrationError where there is no pair or no such panel.
    """
    if pairs_of(parameters) is None:
        raise RegistrationError(_("There is no pair yet: place at least one."))
    name = parameters.transform.GetAttribute(MADE_BY) or DEFAULT_MODULE
    if not hasattr(slicer.modules, name.lower()):
        raise RegistrationError(_("The module {name} is not loaded: install it, or choose another.").format(name=name))
    chosen = slicer.util.getModuleWidget(name).logic.getParameterNode()
    with slicer.util.NodeModify(chosen.parameterNode):
        for role, node in (
            ("fixed", parameters.fixed),
            ("moving", parameters.moving),
            ("fixed_landmarks", parameters.pairs_fixed),
            ("moving_landmarks", parameters.pairs_moving),
        ):
            chosen.setValue(role, node)
        _let_pull(chosen)
    slicer.util.selectModule(name)


def _let_pull(chosen: Any) -> None:
    """Gives the landmarks a weight in the loss."""
    for group in chosen.method.options:
        if f"{group}_{WEIGHT}" in chosen.allParameters:
            chosen.setValue(f"{group}_{WEIGHT}", PULL)
