"""The way from a panel's result to Registration Review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError

MODULE = "RegistrationReview"
MADE_BY = "DiffReg.Module"
"""The attribute of a transform that names the module which made it: where it is registered again."""
JOB = "DiffReg.Job"
"""The attribute of a transform that says as JSON by which method and with which options it was made."""
TAKEN = {
    "transform": "output_transform",
    "inverse": "output_inverse",
    "fixed": "result_fixed",
    "moving": "result_moving",
}
ALONG = ("fixed_landmarks", "moving_landmarks", "fixed_labels", "moving_labels", "fixed_mask")


def open_review(parameters: Any, module: str) -> None:
    """Gives the last result, and what measures it, to the review and opens it. module: the name of the panel's module.

    Raises RegistrationError where the review is not installed, or takes no inputs of these kinds.
    """
    chosen = _settings()
    for role in ("result_fixed", "result_moving"):
        if not parameters.getValue(role).IsA("vtkMRMLScalarVolumeNode"):
            raise RegistrationError(
                _("Registration Review compares images: review other results with diffreg review in a terminal.")
            )
    parameters.output_transform.SetAttribute(MADE_BY, module)
    known = {given.role for given in parameters.method.inputs}
    with slicer.util.NodeModify(chosen.parameterNode):
        for role, source in TAKEN.items():
            chosen.setValue(role, parameters.getValue(source))
        for role in ALONG:
            chosen.setValue(role, parameters.getValue(role) if role in known else None)
        chosen.pose_result = chosen.review = chosen.report = ""
    slicer.util.selectModule(MODULE)


def open_pose(folder: Path) -> None:
    """Gives the result folder of a pose to the review and opens it; raises RegistrationError as `open_review` does."""
    chosen = _settings()
    with slicer.util.NodeModify(chosen.parameterNode):
        chosen.pose_result = str(folder)
        chosen.review = chosen.report = ""
    slicer.util.selectModule(MODULE)


def _settings() -> Any:
    """The parameter node of the review."""
    if not hasattr(slicer.modules, MODULE.lower()):
        raise RegistrationError(_("The module Registration Review is not loaded: install or enable it."))
    return slicer.util.getModuleWidget(MODULE).logic.getParameterNode()
