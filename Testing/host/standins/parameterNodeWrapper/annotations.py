"""What may stand in `Annotated[...]` beside a parameter's type: validators, the default, hints for the widget."""

import types
import typing
from dataclasses import dataclass


@dataclass
class Default:
    value: object


@dataclass
class Decimals:
    value: int


@dataclass
class SingleStep:
    value: float


class Validator:
    def validate(self, value):
        """Raise ValueError for a value that is not allowed."""


class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("Value must not be None")


@dataclass
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, is {value}")


@dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, is {value}")


@dataclass
class Choice(Validator):
    choices: list

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be one of {self.choices}")


@dataclass
class Exclude(Validator):
    excludedValues: list

    def validate(self, value):
        if value in self.excludedValues:
            raise ValueError(f"Value is {value}, which is one of the excluded {self.excludedValues}")


def split(annotated):
    """(type, annotations) of a type that may be Annotated."""
    if typing.get_origin(annotated) is typing.Annotated:
        kind, *annotations = typing.get_args(annotated)
        return kind, annotations
    return annotated, []


def members(kind):
    """The types in a union, or the one type."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [split(member)[0] for member in typing.get_args(kind)]
    return [kind]


def find(annotations, kind):
    """The first annotation of that class, or None."""
    return next((a for a in annotations if isinstance(a, kind)), None)


def bounds(annotations):
    """(minimum, maximum) that the validators allow; infinite where they do not say."""
    both, low, high = (find(annotations, kind) for kind in (WithinRange, Minimum, Maximum))
    minimum = both.minimum if both else low.minimum if low else float("-inf")
    return minimum, both.maximum if both else high.maximum if high else float("inf")
