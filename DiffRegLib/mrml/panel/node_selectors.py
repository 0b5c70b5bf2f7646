"""Selectors of nodes and files, each a row of a form and bound to its parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

SPECIAL_VOLUMES = (
    "vtkMRMLVectorVolumeNode",
    "vtkMRMLDiffusionWeightedVolumeNode",
    "vtkMRMLDiffusionTensorVolumeNode",
    "vtkMRMLStreamingVolumeNode",
)
"""Kinds of scalar volumes with several values a voxel, which nothing here registers."""


def add_selector(
    form: Any, parameter: str, title: str, help: str, types: Sequence[type], empty: str, creates: str = ""
) -> Any:
    """Adds a row to the QFormLayout `form`; returns the selector, called `<parameter in camel case>Selector`.

    types: of the nodes. empty: what it says while none is chosen. creates: name of the nodes that can be made with it.
    """
    selector = slicer.qMRMLNodeComboBox()
    selector.objectName = selector_name(parameter)
    selector.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)  # a long name makes no panel wide
    selector.nodeTypes = [kind().GetClassName() for kind in types]
    selector.hideChildNodeTypes = list(SPECIAL_VOLUMES)
    selector.noneEnabled, selector.noneDisplay = True, empty
    selector.addEnabled = selector.removeEnabled = selector.renameEnabled = bool(creates)
    if creates:
        selector.baseName = creates
    selector.setProperty("SlicerParameterName", parameter)
    selector.setMRMLScene(slicer.mrmlScene)
    _add_row(form, title, help, selector)
    return selector


def add_path(form: Any, parameter: str, title: str, help: str) -> Any:
    """Adds a row to the QFormLayout `form` for a file; returns the line, called `<parameter in camel case>Selector`."""
    line = ctk.ctkPathLineEdit()
    line.objectName = selector_name(parameter)
    line.setProperty("SlicerParameterName", parameter)
    _add_row(form, title, help, line)
    return line


def _add_row(form: Any, title: str, help: str, widget: Any) -> None:
    label = qt.QLabel(_("{title}:").format(title=title))
    label.setBuddy(widget)
    label.toolTip = widget.toolTip = help
    form.addRow(label, widget)


def selector_name(parameter: str) -> str:
    """The name of the selector of a parameter: `fixed_mask` has `fixedMaskSelector`."""
    first, *others = parameter.split("_")
    return first + "".join(map(str.capitalize, others)) + "Selector"
