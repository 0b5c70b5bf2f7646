"""How a value is written into a parameter node, by type; the strings and names are Slicer's."""

import enum
import pathlib
import typing

import slicer

from .annotations import Validator, members, split


def serializer(annotated):
    """The serializer for a type with its validators; raises TypeError for a type that has none."""
    kind, annotations = split(annotated)
    made = _for_type(kind)
    made.validators = [a for a in annotations if isinstance(a, Validator)]
    return made


def _for_type(kind):
    if len(members(kind)) > 1:
        return Union([serializer(member) for member in typing.get_args(kind)])
    if typing.get_origin(kind) is list:
        return List(serializer(typing.get_args(kind)[0]))
    if typing.get_origin(kind) is tuple:
        return Tuple([serializer(member) for member in typing.get_args(kind)])
    if kind in SCALARS:
        return Scalar(kind, *SCALARS[kind])
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return Scalar(kind, kind(), str, kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return Scalar(kind, next(iter(kind)), lambda value: value.name, lambda text: kind[text])
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return Node(kind)
    raise TypeError(f"The stand-in for parameterNodeWrapper has no serializer for {kind}")


SCALARS = {
    bool: (False, lambda value: "True" if value else "False", lambda text: text == "True"),
    int: (0, str, int),
    float: (0, str, float),
    str: ("", str, str),
    type(None): (None, lambda value: "True", lambda text: None),
}


class Serializer:
    validators = ()

    def check(self, value):
        """Raise TypeError or ValueError where `value` does not fit."""
        self.check_type(value)
        for validator in self.validators:
            validator.validate(value)

    def check_type(self, value):
        """For serializers of one type."""

    def has(self, node, name):
        return node.HasParameter(name)

    def remove(self, node, name):
        node.UnsetParameter(name)


class Scalar(Serializer):
    def __init__(self, kind, default, to_text, from_text):
        self.kind, self.default, self.to_text, self.from_text = kind, default, to_text, from_text

    def check_type(self, value):
        if value is None and self.kind is not type(None):
            raise ValueError("Value must not be None")
        if not isinstance(value, (int, float) if self.kind is float else self.kind):
            raise TypeError(f"Value must be of type '{self.kind}', is type '{type(value)}' value '{value}'")

    def write(self, node, name, value):
        node.SetParameter(name, self.to_text(value))

    def read(self, node, name):
        return self.from_text(node.GetParameter(name))


class Node(Serializer):
    """A reference; the empty parameter of the same name says that it was set, be it to None."""

    default = None

    def __init__(self, kind):
        self.kind = kind

    def check_type(self, value):
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"Value must be of type '{self.kind}', is type '{type(value)}'")

    def write(self, node, name, value):
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        return node.GetNodeReference(name)

    def remove(self, node, name):
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class Union(Serializer):
    """Written under the number of the member that takes the value."""

    def __init__(self, parts):
        self.parts = parts
        optional = len(parts) == 2 and isinstance(parts[1], Scalar) and parts[1].kind is type(None)
        self.default = None if optional else parts[0].default

    def check_type(self, value):
        self._part(value)

    def _part(self, value):
        error = None
        for index, part in enumerate(self.parts):
            if value is None and isinstance(part, Node):
                continue
            try:
                part.check(value)
                return index, part
            except (TypeError, ValueError) as refused:
                error = refused
        raise error

    def write(self, node, name, value):
        index, part = self._part(value)
        self.remove(node, name)
        part.write(node, f"{name}.{index}", value)

    def read(self, node, name):
        index, part = next((i, p) for i, p in enumerate(self.parts) if p.has(node, f"{name}.{i}"))
        return part.read(node, f"{name}.{index}")

    def has(self, node, name):
        return any(part.has(node, f"{name}.{index}") for index, part in enumerate(self.parts))

    def remove(self, node, name):
        for index, part in enumerate(self.parts):
            part.remove(node, f"{name}.{index}")


class Tuple(Serializer):
    def __init__(self, parts):
        self.parts, self.default = parts, tuple(part.default for part in parts)

    def check_type(self, value):
        for part, item in zip(self.parts, value, strict=True):
            part.check(item)

    def write(self, node, name, value):
        for index, (part, item) in enumerate(zip(self.parts, value, strict=True)):
            part.write(node, f"{name}.{index}", item)

    def read(self, node, name):
        return tuple(part.read(node, f"{name}.{index}") for index, part in enumerate(self.parts))

    def has(self, node, name):
        return self.parts[0].has(node, f"{name}.0")


class List(Serializer):
    """Read as a plain list; change it by assigning a new one (Slicer's also follows append)."""

    def __init__(self, item):
        self.item, self.default = item, []

    def check_type(self, value):
        for item in value:
            self.item.check(item)

    def write(self, node, name, value):
        for index in range(len(value), self._length(node, name)):
            self.item.remove(node, f"{name}.{index}")
        for index, item in enumerate(value):
            self.item.write(node, f"{name}.{index}", item)
        node.SetParameter(f"{name}.len", str(len(value)))

    def read(self, node, name):
        return [self.item.read(node, f"{name}.{index}") for index in range(self._length(node, name))]

    def has(self, node, name):
        return node.HasParameter(f"{name}.len")

    def _length(self, node, name):
        return int(node.GetParameter(f"{name}.len")) if self.has(node, name) else 0
