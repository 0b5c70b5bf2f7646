"""Why the radiograph cannot follow, or no registration can be started, in one sentence. Quick, and without torch."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.export import check_input
from DiffRegLib.mrml.panel.messages import words
from DiffRegLib.mrml.panel.option_parameters import read_options
from DiffRegLib.mrml.seen import name_of
from DiffRegLib.mrml.xray.seen import check_xray
from XRayPoseLib import carm
from XRayPoseLib.parameters import GROUPS, LABELS, xrays
from XRayPoseLib.pose import check_ct
from XRayPoseLib.source import check_part


def why_not(parameters: Any) -> tuple[str, str]:
    """The first reason and the parameter that it is about (or ""); two empty strings where all is well."""
    if parameters.ct is None:
        return _("Select a CT"), "ct"
    if not xrays(parameters):
        return _("Select an X-ray"), "xray_1"
    for about, check in (("ct", _check_ct), ("part", _check_part), ("xray_1", _check_xrays), ("", _check_options)):
        try:
            check(parameters)
        except RegistrationError as error:
            return words(error, LABELS), about
    field, sentence = carm.faulty_field(parameters)
    return sentence, field


def _check_ct(parameters: Any) -> None:
    check_input(parameters.ct)
    check_ct(parameters)


def _check_part(parameters: Any) -> None:
    if parameters.part is not None:
        check_input(parameters.part)
        check_part(parameters.part, parameters.part_name)


def _check_xrays(parameters: Any) -> None:
    chosen = [node for _number, node in xrays(parameters)]
    for node in chosen:
        check_xray(node)
        if node is parameters.ct:
            raise RegistrationError(
                _("{name} is the CT and an X-ray: choose two different nodes.").format(name=name_of(node))
            )
    if len(chosen) == 2 and chosen[0] is chosen[1]:
        raise RegistrationError(
            _("{name} is both X-rays: choose two different ones, or one.").format(name=name_of(chosen[0]))
        )


def _check_options(parameters: Any) -> None:
    read_options(parameters, GROUPS)
