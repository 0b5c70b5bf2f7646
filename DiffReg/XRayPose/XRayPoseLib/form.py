"""The widgets that are made from the options, and the words on the others."""

from __future__ import annotations

import json
from typing import Any

import qt
from slicer.i18n import tr as _

from DiffRegLib.mrml.panel.option_widgets import add_option_widgets
from DiffRegLib.mrml.panel.weights_selector import add_names
from DiffRegLib.options import option_fields
from DiffRegLib.radiographs.options import CArmOptions
from DiffRegLib.training.registry import Known
from XRayPoseLib import carm, landmarks, measures
from XRayPoseLib.parameters import CARMS, ELSEWHERE, GROUPS, METHOD, VIEWS, xrays
from XRayPoseLib.pose_form import tooltips
from XRayPoseLib.source import part_names

MARKED = "background-color: #ffd9d2; color: black;"
TITLES = {"pose": "Registration", "imaging": "Image"}
ALL = ""
SELECTORS = ("ctSelector", "partSelector", "xray1Selector", "xray2Selector", "poseSelector")
DIGITS = CArmOptions(0.01, 0.01, 1e-5, 1e-5, primary_angle=0.001, secondary_angle=0.001, image_angle=0.001)
"""Values with as many digits as the fields show: what they do not show would be lost."""
STEPS = {"distance": 1.0, "isocenter_distance": 1.0, "pixel_width": 0.01, "pixel_height": 0.01} | {
    f"{name}_angle": 1.0 for name in ("primary", "secondary", "image")
}


class PanelForm:
    """Completes the widgets of the `.ui` file with one for every option, and words them."""

    def __init__(self, ui: Any) -> None:
        self._ui, self._marked = ui, None
        self._folds: dict[str, Any] = {}  # the button that unfolds a setting
        self._carm_boxes = [self._add_carm(number) for number in VIEWS]
        layout = ui.advancedCollapsibleButton.layout()
        for index, (group, options) in enumerate(GROUPS.items()):
            box = qt.QGroupBox(_(TITLES[group]))
            form = qt.QFormLayout(box)
            self._add(form, group, options, ELSEWHERE[group])
            layout.insertWidget(index, box)
            if group == "pose":
                row = [f.name for f in option_fields(options)].index("network") + 1
                names = add_names(form, "networkNamesComboBox", METHOD.name, self._take_network, row)
                if names is not None:  # none are known
                    ui.networkNamesComboBox = names
        for name in (_("Usual distances..."), *map(_, carm.PRESETS)):
            ui.presetComboBox.addItem(name)
        for name, text in tooltips().items():
            getattr(ui, f"{name}Slider").toolTip = text
        self._parts: list[str] = []

    def _take_network(self, weights: Known) -> None:
        """Writes the name of known weights into the line of the option."""
        self._ui.pose_network.text = weights.name

    def _add_carm(self, number: int) -> Any:
        """The fields that have to be known at once; the others folded away."""
        group, fields = f"view_{number}", option_fields(CARMS[f"view_{number}"])
        box, more = qt.QGroupBox(carm.title(number)), qt.QGroupBox(_("More"))
        form = qt.QFormLayout(box)
        self._add(form, group, CARMS[group], [f.name for f in fields if f.advanced])
        self._add(qt.QFormLayout(more), group, CARMS[group], [f.name for f in fields if not f.advanced])
        toggle = qt.QToolButton()
        toggle.text = _("More...")
        toggle.checkable = True
        toggle.toolTip = _("Principal point, turn of the image, isocenter: where the DICOM file or the manual has them")
        toggle.connect("toggled(bool)", more.setVisible)
        more.setVisible(False)
        self._folds |= {f"{group}_{f.name}": toggle for f in fields if f.advanced}
        form.addRow(toggle)
        form.addRow(more)
        self._ui.carmLayout.addWidget(box)
        return box

    def _add(self, form: Any, group: str, options: type, without: Any) -> None:
        shown = (DIGITS,) if options is CArmOptions else ()
        for name, widget in add_option_widgets(form, group, options, shown, without).items():
            setattr(self._ui, name, widget)
            if (step := STEPS.get(name[len(group) + 1 :])) and shown:
                widget.setSingleStep(step)

    def show_inputs(self, parameters: Any, locked: bool) -> None:
        """The parts of what is chosen, and a box for every X-ray that is. locked: nothing else can be chosen."""
        names = part_names(parameters.part)
        if names != self._parts:
            self._parts = names
            self._ui.partNameComboBox.clear()
            for text, name in [(_("All"), ALL), *((name, name) for name in names)]:
                self._ui.partNameComboBox.addItem(text, name)
        index = self._ui.partNameComboBox.findData(parameters.part_name)
        self._ui.partNameComboBox.currentIndex = index
        self._ui.partNameComboBox.enabled = bool(names and not locked)
        for name in SELECTORS:
            getattr(self._ui, name).enabled = not locked
        chosen = [number for number, _node in xrays(parameters)]
        for number, box in zip(VIEWS, self._carm_boxes):
            box.setVisible(number in chosen)
            box.enabled = not locked
        ready = bool(parameters.ct is not None and chosen and not locked)
        for name in ("presetComboBox", "dicomButton", "geometryPathLineEdit"):
            getattr(self._ui, name).enabled = ready

    def show_reason(self, reason: str, about: str, message: str) -> None:
        """The line under the buttons: why they cannot be pressed, or how the last action went wrong."""
        words = message or reason
        self._ui.statusLabel.text = words
        self._ui.statusLabel.setVisible(bool(words))
        self._mark(getattr(self._ui, about, None) if about.startswith("view_") else None, self._folds.get(about))

    def _mark(self, widget: Any, fold: Any) -> None:
        """Highlights the one field that is missing, and unfolds it."""
        if widget is self._marked:
            return
        if self._marked is not None:
            self._marked.styleSheet = ""
        if widget is not None:
            widget.styleSheet = MARKED
            self._ui.carmCollapsibleButton.collapsed = False
            if fold is not None:
                fold.checked = True
        self._marked = widget

    def show_landmarks(self, parameters: Any, live: bool) -> None:
        """The buttons that place points, and what is missing."""
        role = landmarks.placing(parameters)
        for name, button in (("landmarks", self._ui.placeLandmarksButton), ("clicks", self._ui.placeClicksButton)):
            button.enabled = bool(live or role == name)  # what has been begun can be ended
            button.checked = role == name
        reason = landmarks.why_not(parameters)
        self._ui.landmarkPoseButton.enabled = bool(live and not reason)
        self._ui.landmarksLabel.text = reason or _("Ready.")

    def show_result(self, parameters: Any) -> None:
        """The measures of the last registration."""
        text = _("No registration has been run yet.")
        if parameters.measures:
            text = measures.as_html(json.loads(parameters.measures))
        if text != self._ui.measuresLabel.text:
            self._ui.measuresLabel.text = text
        self._ui.reviewButton.enabled = bool(parameters.measures)
