"""A form of widgets for the options of a dataclass, each bound to its parameter."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import qt
from slicer.i18n import tr as _

from DiffRegLib.mrml.panel.messages import label_of
from DiffRegLib.mrml.panel.option_parameters import is_text, parameter_name, to_parameter
from DiffRegLib.options import OptionField, option_fields

MOST_DECIMALS = 8


def add_option_widgets(
    form: Any, group: str, options: type, presets: Iterable[Any] = (), without: Collection[str] = ()
) -> dict[str, Any]:
    """Adds a row for every option to the QFormLayout `form`; returns the widgets by the names of their parameters.

    presets: instances of the dataclass, whose values must be shown without rounding. without: options that have their
    place elsewhere.
    """
    widgets = {}
    for field in option_fields(options):
        if field.name in without:
            continue
        shown = [field.default, *(getattr(preset, field.name) for preset in presets)]
        name = parameter_name(group, field)
        widget = _widget(field, shown)
        widget.objectName = name
        widget.setProperty("SlicerParameterName", name)
        widget.toolTip = tooltip(field)
        unit = f" [{field.unit}]" if field.unit and is_text(field) else ""
        title = qt.QLabel(label_of(field.name) + unit + ":")
        title.toolTip = widget.toolTip
        form.addRow(title, widget)
        widgets[name] = widget
    return widgets


def tooltip(field: OptionField) -> str:
    """One paragraph: what the option does, its unit, range and default."""
    default = to_parameter(field, field.default)
    parts = [_(field.help[:1].upper() + field.help[1:]) + "."]
    if field.low is not None or field.high is not None:
        low, high = (_("any") if limit is None else f"{limit:g}" for limit in (field.low, field.high))
        parts.append(_("Range: {low} to {high}.").format(low=low, high=high))
    parts.append(_("Default: {value} {unit}").format(value=default if default != "" else _("none"), unit=field.unit))
    return "<p>" + " ".join(parts).strip() + "</p>"


def _widget(field: OptionField, shown: list[Any]) -> Any:
    if is_text(field):
        line = qt.QLineEdit()
        line.placeholderText = _("automatic") if field.default in (None, ()) else ""
        return line
    if field.choices:
        return qt.QComboBox()
    if field.type is bool:
        return qt.QCheckBox()
    spin = qt.QSpinBox() if field.type is int else qt.QDoubleSpinBox()
    if field.type is float:
        limits = [limit for limit in (field.low, field.high) if limit is not None]
        spin.setDecimals(max(_digits(value) for value in (*shown, *limits)))
        spin.setSingleStep(10.0 ** -max(_digits(value) for value in shown))
    if field.unit:
        spin.setSuffix(f" {field.unit}")
    spin.setKeyboardTracking(False)
    spin.setFocusPolicy(qt.Qt.StrongFocus)  # the wheel scrolls the panel, it does not change what it passes over
    return spin


def _digits(value: float) -> int:
    """As many digits behind the point as the value needs; at least one."""
    return next((n for n in range(1, MOST_DECIMALS) if round(value, n) == value), MOST_DECIMALS)
