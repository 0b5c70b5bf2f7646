"""Why a registration cannot be started, in one sentence that fits on the Apply button's tooltip."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.method import Input
from DiffRegLib.mrml.export import check_input
from DiffRegLib.mrml.pair import words
from DiffRegLib.mrml.pair.parameters import OUTPUTS, given_paths, node_inputs, node_types
from DiffRegLib.mrml.panel.messages import words as message
from DiffRegLib.mrml.panel.option_parameters import read_options
from DiffRegLib.mrml.results import check_output
from DiffRegLib.mrml.seen import kind_of, name_of

MEASURED = ("landmarks", "labels")  # given on both sides or on none


def why_not(parameters: Any) -> str:
    """The first reason against pressing Apply, or "". Quick enough for every change of a setting."""
    for given in node_inputs(parameters.method):
        if given.required and parameters.getValue(given.role) is None:
            return _("Select a {name} input").format(name=words.title(given.role).lower())
    try:
        _check(parameters)
    except RegistrationError as error:
        return message(error, words.LABELS)
    return ""


def _check(parameters: Any) -> None:
    inputs = node_inputs(parameters.method)
    for given in inputs:
        node = parameters.getValue(given.role)
        if node is not None and given.role != "initial":
            check_input(node)
            _check_type(node, given)
    chosen = {given.role: parameters.getValue(given.role) for given in inputs}
    _check_sides(chosen)
    for role, path in given_paths(parameters).items():
        if not path.exists():
            sentence = _("{path} does not exist: choose another file for {role}.")
            raise RegistrationError(sentence.format(path=path, role=words.title(role)))
    if chosen.get("initial") is not None:
        _check_initial(chosen["initial"], parameters.moving)
    _check_outputs(parameters, set(chosen.values()) - {None})
    read_options(parameters, parameters.method.options)


def _check_type(node: Any, given: Input) -> None:
    """A script can set what the selector would not offer."""
    if not any(node.IsA(kind().GetClassName()) for kind in node_types(given)):
        sentence = _("{name} cannot be the {role} input: choose another node.")
        raise RegistrationError(sentence.format(name=name_of(node), role=words.title(given.role).lower()))


def _check_sides(chosen: dict[str, Any]) -> None:
    """Both sides are different nodes; what measures the result is there on both or on none."""
    fixed, moving = chosen["fixed"], chosen["moving"]
    if fixed is moving:
        sentence = _("{name} is the fixed and the moving input: choose two different nodes.")
        raise RegistrationError(sentence.format(name=name_of(fixed)))
    for what in MEASURED:
        fixed, moving = (chosen.get(f"{side}_{what}") for side in ("fixed", "moving"))
        if fixed is moving and fixed is not None:
            sentence = _("{name} holds the fixed and the moving {what}: choose two different nodes.")
            raise RegistrationError(sentence.format(name=name_of(fixed), what=_(what)))
        if (fixed is None) != (moving is None):
            sentence = _("{name} has no counterpart: give {what} on both sides or on none.")
            raise RegistrationError(sentence.format(name=name_of(fixed or moving), what=_(what)))
        if what == "landmarks" and fixed is not None:
            _check_counts(fixed, moving)


def _check_counts(fixed: Any, moving: Any) -> None:
    counts = [node.GetNumberOfControlPoints() for node in (fixed, moving)]
    if counts[0] != counts[1] and not _names(fixed) & _names(moving):
        sentence = _(
            "{fixed} has {a} points and {moving} has {b}: place the same ones in the same order, or name them."
        )
        names = {"fixed": name_of(fixed), "moving": name_of(moving)}
        raise RegistrationError(sentence.format(a=counts[0], b=counts[1], **names))


def _names(markups: Any) -> set[str]:
    """The labels of the control points, by which they are matched where every one has its own; else none."""
    labels = [markups.GetNthControlPointLabel(n) for n in range(markups.GetNumberOfControlPoints())]
    return set(labels) if all(labels) and len(set(labels)) == len(labels) > 1 else set()


def _check_initial(initial: Any, moving: Any) -> None:
    parent = moving.GetParentTransformNode()
    if parent is not None and (parent is initial or parent.IsTransformNodeMyParent(initial)):
        sentence = _("{moving} is under the initial transform {initial} already: choose no initial transform.")
        raise RegistrationError(sentence.format(moving=name_of(moving), initial=name_of(initial)))


def _check_outputs(parameters: Any, taken: set[Any]) -> None:
    for name in OUTPUTS:
        node = parameters.getValue(name)
        if node is None:
            continue
        if node in taken:
            raise RegistrationError(_("{name} is used twice: choose another output.").format(name=name_of(node)))
        check_output(node, kind_of(parameters.moving) if name == "output_warped" else "transform", linear=True)
        taken.add(node)
