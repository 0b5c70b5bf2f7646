"""Options of a method: one frozen dataclass, from which command line, panel and stored job are derived."""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from typing import Any, Literal, TypeVar

from DiffRegLib.errors import RegistrationError

T = TypeVar("T")


def option(
    default: Any,
    help: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    advanced: bool = True,
) -> Any:
    """A dataclass field with its one-line description, unit and inclusive range."""
    metadata = {"help": help, "unit": unit, "low": low, "high": high, "advanced": advanced}
    return dataclasses.field(default=default, metadata=metadata)


def landmark_weight() -> Any:
    """The option `landmark_weight` of every method that lets landmarks pull; each scales it to its loss."""
    text = "pull of landmarks that are given: 0 measures with them alone, 1 brings them within about a millimeter"
    return option(0.0, text, low=0.0, high=1e3, advanced=False)


def threshold(value: Any, help: str, origin: str) -> Any:
    """A dataclass field that no user turns: what it decides, and where the number comes from."""
    return dataclasses.field(default=value, metadata={"help": help, "origin": origin})


@dataclasses.dataclass(frozen=True)
class OptionField:
    """What a widget or a flag needs to know of one option."""

    name: str
    type: type
    default: Any
    help: str
    unit: str
    low: float | None
    high: float | None
    advanced: bool
    choices: tuple | None
    repeated: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def option_fields(cls: type) -> tuple[OptionField, ...]:
    """The options of a dataclass in the order of their definition."""
    hints = typing.get_type_hints(cls)
    return tuple(_describe(f, hints[f.name]) for f in dataclasses.fields(cls))


def _describe(field: dataclasses.Field, hint: Any) -> OptionField:
    choices, repeated = None, False
    if typing.get_origin(hint) is tuple:
        hint, repeated = typing.get_args(hint)[0], True
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        hint = type(choices[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(t for t in typing.get_args(hint) if t is not type(None))
    return OptionField(field.name, hint, field.default, choices=choices, repeated=repeated, **field.metadata)


def validate(options: T) -> T:
    """Returns the options unchanged, or raises `RegistrationError` that names the first one out of its range."""
    for field in option_fields(type(options)):
        value = getattr(options, field.name)
        if value is None and field.default is None:
            continue
        for item in value if field.repeated else (value,):
            _check(field, item)
    return options


def _check(field: OptionField, value: Any) -> None:
    number = field.type in (int, float)
    wrong_type = (
        isinstance(value, bool) or not isinstance(value, (int, float)) if number else not isinstance(value, field.type)
    )
    if wrong_type or (field.type is int and value != int(value)):
        raise RegistrationError(
            f"{{{field.name}}} must be of type {field.type.__name__}, not {value!r}: correct the option.",
            option=field.name,
        )
    if field.choices and value not in field.choices:
        raise RegistrationError(
            f"{{{field.name}}} is {value!r}: choose one of {', '.join(map(str, field.choices))}.", option=field.name
        )
    if number:
        inside = (field.low is None or value >= field.low) and (field.high is None or value <= field.high)
        if not inside:  # NaN lands here too: no comparison with it is true
            limits = f"{'-inf' if field.low is None else field.low} to {'inf' if field.high is None else field.high}"
            unit = f" {field.unit}" if field.unit else ""
            raise RegistrationError(
                f"{{{field.name}}} is {value}: give a value from {limits}{unit}.", option=field.name
            )


def to_dict(options: Any) -> dict[str, Any]:
    """The options as JSON can hold them."""
    return {
        f.name: list(v) if isinstance(v := getattr(options, f.name), tuple) else v for f in dataclasses.fields(options)
    }


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """The options of a stored job, validated; an unknown name is an error."""
    fields = {f.name: f for f in option_fields(cls)}
    unknown = set(values) - set(fields)
    if unknown:
        raise RegistrationError(f"{cls.__name__} has no option {', '.join(sorted(unknown))}: remove it.")
    return validate(cls(**{k: tuple(v) if fields[k].repeated and v is not None else v for k, v in values.items()}))


def add_arguments(parser: argparse.ArgumentParser, cls: type, title: str = "options") -> None:
    """One flag an option, with its unit and default in the help; flags that are not given keep the default."""
    group = parser.add_argument_group(title)
    for field in option_fields(cls):
        text = f"{field.help}{f' [{field.unit}]' if field.unit else ''} (default: {_shown(field.default)})"
        kwargs: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if field.type is bool:
            kwargs["action"] = argparse.BooleanOptionalAction
        else:
            kwargs["type"] = field.type
            kwargs["choices"] = field.choices
            kwargs["metavar"] = None if field.choices else field.type.__name__.upper()
            kwargs["nargs"] = "+" if field.repeated else None
        group.add_argument(field.flag, **kwargs)


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(map(str, default)) or "none"
    return str(default)


def given(cls: type, namespace: argparse.Namespace) -> dict[str, Any]:
    """The options that the command line names, by name."""
    return {f.name: getattr(namespace, f.name) for f in option_fields(cls) if hasattr(namespace, f.name)}


def from_arguments(cls: type[T], namespace: argparse.Namespace, base: T | None = None) -> T:
    """The options of the command line over `base` (a preset) or the defaults, validated."""
    values = to_dict(base) if base is not None else {}
    return from_dict(cls, {**values, **given(cls, namespace)})
