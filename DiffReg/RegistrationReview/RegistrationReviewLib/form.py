"""The widgets of the panel that are made in Python, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DiffRegLib.mrml.panel.node_selectors import add_selector
from DiffRegLib.mrml.panel.option_parameters import parameter_name, to_parameter
from DiffRegLib.mrml.panel.option_widgets import add_option_widgets
from DiffRegLib.options import option_fields
from DiffRegLib.review.limits import LimitOptions
from RegistrationReviewLib.parameters import FIRST, INPUTS
from RegistrationReviewLib.reviewing import facts_of

NEEDS_REVIEW = ("compareComboBox", "beforeCheckBox", "flickerButton", "mapComboBox", "foldsCheckBox", "veilCheckBox")
MOST_REPEATS = 10
PAIRS = {"pairs_fixed": _("Fixed points"), "pairs_moving": _("Moving points")}


def complete(ui: Any) -> None:
    """Adds a selector for every input and a widget for every limit."""
    for name in ("moreInputs", "limits"):
        getattr(ui, f"{name}GroupBox").collapsed = False  # what is added to it while it is folded would be seen
    for role, (title, help, classes, empty) in INPUTS.items():
        types = tuple(getattr(slicer, f"vtkMRML{name}Node") for name in classes)
        layout = (ui.inputsForm if role in FIRST else ui.moreInputsGroupBox).layout()
        _keep(ui, add_selector(layout, role, _(title), _(help), types, _(empty)))
    _keep(ui, _repeats(ui.moreInputsGroupBox.layout()))
    for role, title in PAIRS.items():
        types = (slicer.vtkMRMLMarkupsFiducialNode,)
        _keep(ui, add_selector(ui.pairsForm.layout(), role, title, _("Where pairs stand."), types, _("Placed here")))
    for widget in add_option_widgets(ui.limitsGroupBox.layout(), "limits", LimitOptions).values():
        _keep(ui, widget)
    for name in ("moreInputs", "limits"):
        getattr(ui, f"{name}GroupBox").collapsed = True


def _repeats(form: Any) -> Any:
    """A row for how often the method is run again."""
    box, label = qt.QSpinBox(), qt.QLabel(_("Repeats:"))
    box.objectName = "repeatsSpinBox"
    box.maximum = MOST_REPEATS
    box.setProperty("SlicerParameterName", "repeats")
    text = _(
        "So often the registration is run again with other seeds: the map Spread over repeats shows where it varies."
    )
    box.toolTip = label.toolTip = text
    label.setBuddy(box)
    form.addRow(label, box)
    return box


def _keep(ui: Any, widget: Any) -> None:
    setattr(ui, widget.name, widget)


def show_limits(parameters: Any, limits: LimitOptions) -> None:
    """Gives the settings the values of some limits."""
    for field in option_fields(LimitOptions):
        value = to_parameter(field, getattr(limits, field.name))
        parameters.setValue(parameter_name("limits", field), value)


def show_buttons(ui: Any, parameters: Any, running: bool, reason: str, message: str) -> None:
    """What can be pressed, and why not."""
    ui.applyButton.enabled = bool(running or not reason)
    ui.applyButton.text = _("Cancel") if running else _("Review the pose") if parameters.pose_result else _("Review")
    ui.progressBar.setVisible(running)
    for widget in (ui.poseResultLabel, ui.poseResultLineEdit):
        widget.setVisible(bool(parameters.pose_result))
    said = "" if running else message or reason
    ui.statusLabel.text = said
    ui.statusLabel.setVisible(bool(said))
    facts = facts_of(parameters)
    compared = bool(facts) and "xrays" not in facts
    turned = any(finding["kind"] == "direction" for finding in facts.get("findings", ()))
    ui.inverseButton.setVisible(turned and not running)
    for name in NEEDS_REVIEW:
        getattr(ui, name).enabled = compared
    ui.reportButton.enabled = bool(parameters.report)
    ready = parameters.fixed is not None and parameters.moving is not None and parameters.transform is not None
    ui.placeButton.enabled = ready
    pairs = parameters.pairs_fixed is not None and parameters.pairs_fixed.GetNumberOfControlPoints() > 0
    ui.undoButton.enabled = bool(pairs)
    ui.againButton.enabled = bool(pairs and ready)


def shortcut(parent: Any, keys: str, slot: Callable[[], None]) -> Any:
    """A key that works while the panel has the focus."""
    made = qt.QShortcut(qt.QKeySequence(keys), parent)
    made.setContext(qt.Qt.WidgetWithChildrenShortcut)
    made.connect("activated()", slot)
    return made


def center_views(node: Any) -> None:
    """All slice views on the middle of a volume, fitted to it."""
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    place = [(bounds[2 * n] + bounds[2 * n + 1]) / 2 for n in range(3)]
    slicer.util.setSliceViewerLayers(background=node)
    slicer.util.resetSliceViews()
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place)
    slicer.util.resetThreeDViews()


class Flicker:
    """Alternates before and after while its button is down; parameters: gives the parameter node or None."""

    def __init__(self, button: Any, parameters: Callable[[], Any]) -> None:
        self._button, self._parameters = button, parameters
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._turn)
        button.connect("toggled(bool)", self._toggle)

    @property
    def flickers(self) -> bool:
        return self._timer.isActive()

    def stop(self) -> None:
        """Ends it."""
        self._button.checked = False
        self._timer.stop()

    def close(self) -> None:
        """Ends it for good."""
        self.stop()
        self._timer.disconnect("timeout()", self._turn)

    def _toggle(self, checked: bool) -> None:
        if checked and self._parameters():
            self._timer.start(int(1000 / self._parameters().rate))
            return
        self._timer.stop()
        if self._parameters():
            self._parameters().before = False

    def _turn(self) -> None:
        parameters = self._parameters()
        if parameters:
            self._timer.setInterval(int(1000 / parameters.rate))
            parameters.before = not parameters.before
