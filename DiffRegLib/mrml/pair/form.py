"""The widgets of the panel: those that are made from the method's inputs and options, and the words on the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DiffRegLib.methods.method import Method
from DiffRegLib.mrml.pair import displays, measures, words
from DiffRegLib.mrml.pair.parameters import node_inputs, node_types, path_inputs, preset_options
from DiffRegLib.mrml.panel.node_selectors import add_path, add_selector
from DiffRegLib.mrml.panel.option_widgets import add_option_widgets
from DiffRegLib.mrml.panel.weights_selector import add_weights

SWITCHES = ("displayComboBox", "opacitySlider", "gridCheckBox", "flickerButton", "reviewButton")


class PairForm:
    """Completes the widgets of `pair.ui` with one for every input, output and option of a method, and words them.

    titles: what the groups of options are called. help: of inputs by role, where a method says more of them.
    """

    def __init__(self, ui: Any, method: Method, titles: Mapping[str, str], help: Mapping[str, str]) -> None:
        self._ui = ui
        ui.resultCollapsibleButton.layout().insertWidget(1, ui.switchesWidget)  # between measures and review
        self._add_inputs(method, help)
        self._add_outputs(method)
        self._add_options(method, titles)
        for widget in (ui.presetLabel, ui.presetComboBox):
            widget.setVisible(len(method.presets) > 1)

    def _add_inputs(self, method: Method, help: Mapping[str, str]) -> None:
        box = self._ui.moreInputsGroupBox
        box.collapsed = False  # what is added to it while it is folded would be seen
        for given in node_inputs(method):
            form = (self._ui.inputsForm if given.required else box).layout()
            name = words.title(given.role)
            empty = _("Select a {name} input").format(name=name.lower()) if given.required else _("None")
            text = help.get(given.role, words.help_of(given))
            self._keep(add_selector(form, given.role, name, text, node_types(given), empty))
        for given in path_inputs(method):
            row = (box.layout(), given.role, words.title(given.role), help.get(given.role, words.help_of(given)))
            weights = given.kinds == ("weights",)
            for widget in add_weights(*row, method.name) if weights else [add_path(*row)]:
                self._keep(widget)
        box.collapsed = True
        box.setVisible(any(not given.required for given in (*node_inputs(method), *path_inputs(method))))

    def _add_outputs(self, method: Method) -> None:
        types = {"output_warped": node_types(method.input("moving"))}
        for name, texts in words.OUTPUTS.items():
            title, text, creates = map(_, texts)
            kinds = types.get(name, (slicer.vtkMRMLTransformNode,))
            form = self._ui.outputsCollapsibleButton.layout()
            self._keep(add_selector(form, name, title, text, kinds, _("Create new on Apply"), creates))

    def _add_options(self, method: Method, titles: Mapping[str, str]) -> None:
        layout = self._ui.advancedCollapsibleButton.layout()
        presets = [preset_options(method, name) for name in method.presets]
        for index, (group, options) in enumerate(method.options.items()):
            box = qt.QGroupBox(titles.get(group, _(group.capitalize())))
            shown = [preset[group] for preset in presets]
            for widget in add_option_widgets(qt.QFormLayout(box), group, options, shown).values():
                self._keep(widget)
            layout.insertWidget(index, box)

    def _keep(self, widget: Any) -> None:
        setattr(self._ui, widget.objectName, widget)

    def show_result(self, parameters: Any) -> None:
        """The measures of the last run, and the switches of the views where there is something to switch."""
        there = displays.has_result(parameters)
        text = _("No registration has been run yet.")
        if parameters.measures:
            text = measures.as_html(json.loads(parameters.measures))
        if text != self._ui.measuresLabel.text:
            self._ui.measuresLabel.text = text
        for name in SWITCHES:
            getattr(self._ui, name).enabled = there
