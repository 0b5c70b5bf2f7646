"""The widgets of the panel: those that are made from the options, and the words on the others."""

from __future__ import annotations

import json
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from DiffRegLib.methods.splatting.options import PRESETS
from DiffRegLib.mrml.panel.option_widgets import add_option_widgets
from SplatRegistrationLib import displays, measures
from SplatRegistrationLib.parameters import GROUPS

LONGEST_REASON = 48  # characters that fit on the button
TITLES = {"splatting": "Registration", "clouds": "Points"}


class PanelForm:
    """Completes the widgets of the `.ui` file with one for every option, and words them."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        layout = ui.advancedCollapsibleButton.layout()
        for index, (group, options) in enumerate(GROUPS.items()):
            box = qt.QGroupBox(_(TITLES[group]))
            form = qt.QFormLayout(box)
            presets = PRESETS.values() if group == "splatting" else ()
            for name, widget in add_option_widgets(form, group, options, presets).items():
                setattr(ui, name, widget)
            layout.insertWidget(index, box)

    def show_apply(self, running: bool, reason: str, message: str) -> None:
        """The Apply button, and the line under it: why it cannot be pressed, or how the last run went wrong."""
        button = self._ui.applyButton
        button.enabled = running or not reason
        fits = reason and len(reason) <= LONGEST_REASON
        button.text = _("Cancel") if running else reason if fits else _("Apply")
        if running:
            button.toolTip = _("End the registration and leave the scene as it was")
        else:
            button.toolTip = reason or _("Register in another process; Slicer can be used meanwhile")
        words = "" if running or fits else reason or message
        self._ui.statusLabel.text = words
        self._ui.statusLabel.setVisible(bool(words))

    def show_result(self, parameters: Any) -> None:
        """The measures of the last run, and the switches of the views where there is something to switch."""
        there = displays.has_result(parameters)
        text = _("No registration has been run yet.")
        if parameters.measures:
            text = measures.as_html(json.loads(parameters.measures))
        if text != self._ui.measuresLabel.text:
            self._ui.measuresLabel.text = text
        for name in ("displayComboBox", "opacitySlider", "gridCheckBox", "flickerButton"):
            getattr(self._ui, name).enabled = there

    @staticmethod
    def content_events(node: Any) -> list[int]:
        """The events by which a node tells that its content has changed."""
        events = [vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent]
        if node.IsA("vtkMRMLMarkupsNode"):
            events += [node.PointPositionDefinedEvent, node.PointPositionUndefinedEvent, node.PointRemovedEvent]
        if node.IsA("vtkMRMLSegmentationNode"):
            events += [slicer.vtkSegmentation.SegmentAdded, slicer.vtkSegmentation.SegmentRemoved]
        return events
