"""The options of a method as parameters of a panel's parameter node: one a field, derived from the dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from slicer.parameterNodeWrapper import Choice, Default, Maximum, Minimum

from DiffRegLib.errors import RegistrationError
from DiffRegLib.options import OptionField, from_dict, option_fields, to_dict

Groups = Mapping[str, type]  # name of the group in a job -> its options dataclass


def with_options(groups: Groups):
    """Class decorator below `parameterNodeWrapper`: adds the parameter `<group>_<option>` for every option."""

    def add(cls: type) -> type:
        for group, options in groups.items():
            for field in option_fields(options):
                cls.__annotations__[parameter_name(group, field)] = annotation(field)
        return cls

    return add


def parameter_name(group: str, field: OptionField) -> str:
    """The parameter of an option; the group keeps two methods' options apart."""
    return f"{group}_{field.name}"


def is_text(field: OptionField) -> bool:
    """Whether people type the option as text: several values, a value that may be missing, or a free string."""
    return field.repeated or field.default is None or (field.type is str and not field.choices)


def annotation(field: OptionField) -> Any:
    """The type of the parameter, with its default, range and choices."""
    default = Default(to_parameter(field, field.default))
    if is_text(field):
        return Annotated[str, default]
    if field.choices:
        return Annotated[field.type, Choice(list(field.choices)), default]
    limits = [kind(field.type(value)) for kind, value in ((Minimum, field.low), (Maximum, field.high)) if _given(value)]
    return Annotated[(field.type, *limits, default)]


def _given(value: float | None) -> bool:
    return value is not None


def to_parameter(field: OptionField, value: Any) -> Any:
    """The value of an option as its parameter holds it; several values are text, a missing one is no text."""
    if not is_text(field):
        return field.type(value)
    if value is None:
        return ""
    return " ".join(map(str, value)) if field.repeated else str(value)


def from_parameter(field: OptionField, value: Any) -> Any:
    """The value of an option from its parameter; raises `RegistrationError` for text that is none."""
    if not is_text(field):
        return value
    words = value.replace(",", " ").replace(";", " ").split() if field.repeated else [value.strip()]
    if field.default is None and words in ([], [""]):
        return None
    try:
        values = tuple(field.type(word) for word in words)
    except ValueError:
        what = "numbers with spaces between them" if field.repeated else "a number"
        raise RegistrationError(f"{{{field.name}}} is {value!r}: give {what}.", option=field.name) from None
    return values if field.repeated else values[0]


def read_options(parameters: Any, groups: Groups) -> dict[str, dict[str, Any]]:
    """The options as a job stores them, validated; raises `RegistrationError` that names the option."""
    found = {}
    for group, options in groups.items():
        values = {f.name: from_parameter(f, _value(parameters, group, f)) for f in option_fields(options)}
        found[group] = to_dict(from_dict(options, values))
    return found


def _value(parameters: Any, group: str, field: OptionField) -> Any:
    return parameters.getValue(parameter_name(group, field))


def follow(parameters: Any, group: str, before: Any, after: Any) -> None:
    """Moves every option that stands at its value in `before` to its value in `after`; changed ones stay.

    before, after: two instances of the group's dataclass, presets in most cases.
    """
    for field in option_fields(type(after)):
        old, new = (to_parameter(field, getattr(preset, field.name)) for preset in (before, after))
        if old != new and _value(parameters, group, field) == old:
            parameters.setValue(parameter_name(group, field), new)


def changed(parameters: Any, group: str, preset: Any) -> list[OptionField]:
    """The options that stand elsewhere than in the preset."""
    fields = option_fields(type(preset))
    return [f for f in fields if _value(parameters, group, f) != to_parameter(f, getattr(preset, f.name))]
