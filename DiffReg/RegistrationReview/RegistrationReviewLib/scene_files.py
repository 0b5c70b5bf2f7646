"""Results and transforms from files into the scene, and the way back to the method that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import split_key
from DiffRegLib.jobs import read_job
from DiffRegLib.mrml.pair.review import MADE_BY
from DiffRegLib.mrml.results import Output, add, read_transform, read_volume
from RegistrationReviewLib.mending import pairs_of

FILTER = _("Results and transforms (job.json *.h5 *.hdf5 *.tfm *.txt *.mat *.nii *.nii.gz *.nrrd *.mha)")
DEFAULT_MODULE = "SplatRegistration"
WEIGHT = 0.5
"""The weight of the pairs as a term of the loss, where a method takes one."""


def load(path: str, parameters: Any) -> None:
    """A result's `job.json` brings transform, inverse and images, any other file a transform; they become the inputs.

    Raises RegistrationError that names the file.
    """
    file = Path(path)
    if file.name == "job.json":
        outputs = _of_result(file.parent)
    else:
        outputs = {"transform": Output(read_transform(file, file.stem))}
    placed = add(slicer.mrmlScene, outputs)
    with slicer.util.NodeModify(parameters.parameterNode):
        for role, node in placed.items():
            parameters.setValue(role, node)


def _of_result(folder: Path) -> dict[str, Output]:
    job = read_job(folder)
    name = folder.parent.name if folder.name == "result" else folder.name
    found = {
        "transform": Output(read_transform(folder / "transform.h5", name)),
        "inverse": Output(read_transform(folder / "inverse.h5", _("{name} inverse").format(name=name))),
    }
    for role in ("fixed", "moving"):
        source = job.path(role)
        if source and Path(split_key(source)[0]).is_file() and source.lower().endswith((".nii", ".nii.gz", ".nrrd")):
            found[role] = Output(read_volume(source, Path(source).name.split(".")[0]))
    return found


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
    """Switches on what the method calls its term of landmarks."""
    for group in chosen.method.options:
        for option, value in (("landmark_weight", WEIGHT), ("follow_landmarks", True)):
            if chosen.parameterNode is not None and f"{group}_{option}" in type(chosen).__annotations__:
                chosen.setValue(f"{group}_{option}", value)
