"""Why a registration cannot be started, in one sentence that fits on the Apply button's tooltip."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.export import check_input
from DiffRegLib.mrml.panel.option_parameters import read_options
from DiffRegLib.mrml.results import check_output
from DiffRegLib.mrml.seen import defined_points, kind_of, name_of
from SplatRegistrationLib.parameters import GROUPS, OUTPUTS, ROLES

PAIRS = ("landmarks",)


def why_not(parameters: Any) -> str:
    """The first reason against pressing Apply, or "". Quick enough for every change of a setting."""
    for role, title in (("fixed", _("fixed")), ("moving", _("moving"))):
        if parameters.getValue(role) is None:
            return _("Select a {side} input").format(side=title)
    try:
        _check(parameters)
    except RegistrationError as error:
        return str(error)
    return ""


def _check(parameters: Any) -> None:
    _check_different(parameters)
    for role in ROLES[:-1]:
        node = parameters.getValue(role)
        if node is not None:
            check_input(node)
    _check_landmarks(parameters)
    _check_initial(parameters)
    _check_outputs(parameters)
    read_options(parameters, GROUPS)


def _check_different(parameters: Any) -> None:
    fixed, moving = parameters.fixed, parameters.moving
    if fixed is moving:
        raise RegistrationError(
            _("{name} is the fixed and the moving input: choose two different nodes.").format(name=name_of(fixed))
        )
    fixed, moving = parameters.fixed_landmarks, parameters.moving_landmarks
    if fixed is not None and fixed is moving:
        raise RegistrationError(
            _("{name} holds the fixed and the moving landmarks: choose two different nodes.").format(
                name=name_of(fixed)
            )
        )


def _check_landmarks(parameters: Any) -> None:
    pair = parameters.fixed_landmarks, parameters.moving_landmarks
    given = [node for node in pair if node is not None]
    if len(given) == 1:
        raise RegistrationError(
            _("{name} has no counterpart: give landmarks on both sides or on none.").format(name=name_of(given[0]))
        )
    if len(given) == 2:
        counts = [len(defined_points(node)) for node in pair]
        if counts[0] != counts[1]:
            sentence = _("{fixed} has {a} points and {moving} has {b}: place the same ones in the same order.")
            names = {"fixed": name_of(pair[0]), "moving": name_of(pair[1])}
            raise RegistrationError(sentence.format(a=counts[0], b=counts[1], **names))


def _check_initial(parameters: Any) -> None:
    initial, moving = parameters.initial, parameters.moving
    parent = moving.GetParentTransformNode()
    if initial is not None and parent is not None and (parent is initial or parent.IsTransformNodeMyParent(initial)):
        sentence = _("{moving} is under the initial transform {initial} already: choose no initial transform.")
        raise RegistrationError(sentence.format(moving=name_of(moving), initial=name_of(initial)))


def _check_outputs(parameters: Any) -> None:
    taken = {parameters.getValue(role) for role in ROLES} - {None}
    for name in OUTPUTS:
        node = parameters.getValue(name)
        if node is None:
            continue
        if node in taken:
            raise RegistrationError(_("{name} is used twice: choose another output.").format(name=name_of(node)))
        check_output(node, kind_of(parameters.moving) if name == "output_warped" else "transform")
        taken.add(node)
