"""A row for the weights of a network: any file, or one of the trained networks that are known by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.panel.node_selectors import add_path
from DiffRegLib.training.registry import Known, find_weights, known_weights


def add_weights(form: Any, parameter: str, title: str, help: str, method: str) -> list[Any]:
    """Adds the row, and where networks of the method are known, a choice of them; returns the widgets.

    The choice writes the path of what is chosen into the line, which alone is bound to the parameter; weights that are
    not on this machine are downloaded after a question.
    """
    line = add_path(form, parameter, title, help)
    names = add_names(form, line.objectName.replace("Selector", "NamesComboBox"), method, partial(_take, line))
    return [line] if names is None else [line, names]


def add_names(form: Any, name: str, method: str, take: Callable[[Known], None], row: int = -1) -> Any:
    """Adds a choice among the known networks of a method, of this object name; None where there are none.

    take: is given what is chosen. row: of the form that it becomes; -1 is the last.
    """
    known = known_weights(method)
    if not known:
        return None
    names = qt.QComboBox()
    names.objectName = name
    names.addItem(_("Choose a trained network"))
    for weights in known.values():
        names.addItem(f"{weights.name}: {weights.title}")
    names.toolTip = _("Trained networks that are known by name: their file goes into the line above.")
    names.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
    names.connect("activated(int)", lambda index: take(list(known.values())[index - 1]) if index > 0 else None)
    form.insertRow(row, "", names)
    return names


def _take(line: Any, weights: Known) -> None:
    try:
        line.currentPath = find_weights(weights.name, slicer.util.confirmOkCancelDisplay)
    except RegistrationError as error:
        slicer.util.errorDisplay(str(error))
