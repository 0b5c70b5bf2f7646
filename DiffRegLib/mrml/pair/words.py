"""What the panel of a pair calls inputs and outputs, and says of them."""

from __future__ import annotations

from slicer.i18n import tr as _

from DiffRegLib.methods.method import Input
from DiffRegLib.mrml.pair.parameters import node_types
from DiffRegLib.mrml.panel.messages import label_of

HELP = {
    "fixed": "What stays in its place",
    "moving": "What is brought onto the fixed input",
    "fixed_mask": "Where the fixed input is used: everywhere without a mask.",
    "moving_mask": "Where the moving input is used: everywhere without a mask.",
    "fixed_landmarks": "Points on the fixed input with known counterparts: they measure the error before and after.",
    "moving_landmarks": "The counterparts of the fixed landmarks.",
    "fixed_labels": "Structures of the fixed input with counterparts: they measure the overlap before and after.",
    "moving_labels": "The counterparts of the fixed labels.",
    "initial": "A transform that brings the moving input roughly onto the fixed one when it is applied to it.",
}
OUTPUTS = {  # title, help, and the name of a new node
    "output_transform": ("Transform", "The transform that brings the moving input onto the fixed one.", "Transform"),
    "output_inverse": (
        "Inverse transform",
        "The transform that brings the fixed input onto the moving one.",
        "Inverse transform",
    ),
    "output_warped": (
        "Warped moving",
        "The moving input brought onto the fixed one: a node of the same kind as the moving input.",
        "Warped",
    ),
}
LABELS = {"initial": _("Initial transform")}
"""Inputs that the panel does not simply call by their roles."""

NODES = {
    "vtkMRMLScalarVolumeNode": "a volume",
    "vtkMRMLLabelMapVolumeNode": "a label map",
    "vtkMRMLSegmentationNode": "a segmentation",
    "vtkMRMLModelNode": "a model",
    "vtkMRMLMarkupsFiducialNode": "a list of points",
}


def title(role: str) -> str:
    """What the panel calls an input."""
    return LABELS.get(role, label_of(role))


def help_of(given: Input) -> str:
    """What an input is, and which nodes it can be where there is a choice."""
    text = _(HELP.get(given.role, given.help[:1].upper() + given.help[1:] + "."))
    if given.role in ("fixed", "moving"):
        *kinds, last = [_(NODES[kind().GetClassName()]) for kind in node_types(given)]
        choice = _("{first} or {last}").format(first=", ".join(kinds), last=last) if kinds else last
        return _("{what}: {choice}.").format(what=text, choice=choice)
    return text
