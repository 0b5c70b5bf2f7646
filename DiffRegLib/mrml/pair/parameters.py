"""The settings of a pair's panel, all of them, as they are stored in the scene."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Union

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper

from DiffRegLib.files.kinds import ANY_NAME
from DiffRegLib.methods.method import Input, Method
from DiffRegLib.mrml.panel.option_parameters import changed, follow, parameter_name, to_parameter, with_options

OUTPUTS = ("output_transform", "output_inverse", "output_warped")
LABELS = ("LabelMapVolume", "Segmentation")
CLASSES = {  # of the nodes that can become a file of a kind
    "image": ("ScalarVolume", *LABELS),
    "labels": LABELS,
    "surface": ("Model",),
    "points": ("MarkupsFiducial",),
    "transform": ("Transform",),
}


class Choice(enum.Enum):
    """Choices with names for people."""

    def label(self) -> str:
        return _(self.value)


class Display(Choice):
    """What is laid over the fixed input."""

    AFTER = "Moving after registration"
    BEFORE = "Moving before registration"
    FIXED = "Fixed alone"
    CHECKERBOARD = "Checkerboard of fixed and registered"
    SIDE_BY_SIDE = "Fixed and registered side by side"


def parameter_node(method: Method, **own: Any) -> type:
    """The class that wraps the parameter node of a method's panel; it knows the method as `method`.

    Inputs by the roles that a job calls them, outputs, options by group and name, and what the views show. `preset` is
    what the person chose; `followed_preset` the one whose values the unchanged options hold. `result_fixed`,
    `result_moving`, `measures` (JSON) and `loss` (a plot) belong to the last run that ended well. own: what a module
    stores beside that, by name, as annotations.
    """
    presets = Choice("Preset", {name: name.replace("-", " ").capitalize() for name in presets_of(method)})
    warped = _one_of(node_types(method.input("moving")))
    settings = {
        "preset": Annotated[presets, Default(next(iter(presets)))],
        "followed_preset": str,
        **{i.role: _one_of(node_types(i)) for i in node_inputs(method)},
        **{i.role: Path for i in path_inputs(method)},
        "output_transform": slicer.vtkMRMLTransformNode,
        "output_inverse": slicer.vtkMRMLTransformNode,
        "output_warped": warped,
        "display": Annotated[Display, Default(Display.AFTER)],
        "overlay_opacity": Annotated[float, WithinRange(0.0, 1.0), Default(0.5)],
        "show_grid": Annotated[bool, Default(True)],
        "result_fixed": _one_of(node_types(method.input("fixed"))),
        "result_moving": warped,
        "measures": str,
        "loss": slicer.vtkMRMLPlotChartNode,
        **own,
    }
    plain = type("PairParameterNode", (), {"__annotations__": settings, "__module__": __name__, "method": method})
    return parameterNodeWrapper(with_options(method.options)(plain))


def node_inputs(method: Method) -> list[Input]:
    """The inputs that are nodes of the scene, in the method's order."""
    return [i for i in method.inputs if node_types(i)]


def path_inputs(method: Method) -> list[Input]:
    """The inputs that no node of the scene can be: files of any name, such as the weights of a network."""
    return [i for i in method.inputs if set(i.kinds) <= set(ANY_NAME)]


def given_paths(parameters: Any) -> dict[str, Path]:
    """The files that were chosen, by role; a path that was never set is the current folder."""
    paths = {i.role: parameters.getValue(i.role) for i in path_inputs(parameters.method)}
    return {role: path for role, path in paths.items() if str(path) not in ("", ".")}


def node_types(given: Input) -> tuple[type, ...]:
    """The classes of the nodes that can be chosen for an input."""
    if given.role == "initial":
        names = CLASSES["transform"]
    elif given.role.endswith(("_mask", "_labels")):
        names = LABELS
    else:
        names = dict.fromkeys(name for kind in given.kinds for name in CLASSES.get(kind, ()))
    return tuple(getattr(slicer, f"vtkMRML{name}Node") for name in names)


def _one_of(types: tuple[type, ...]) -> Any:
    return types[0] if len(types) == 1 else Union[(*types, None)]  # noqa: UP007


def presets_of(method: Method) -> Mapping[str, Mapping[str, Any]]:
    """The presets of a method; one of the defaults where it has none."""
    return method.presets or {"default": {}}


def preset_options(method: Method, preset: str) -> dict[str, Any]:
    """Group -> options of a preset; the defaults where the preset, or its group, is not known."""
    found = method.presets.get(preset, {})
    return {group: found.get(group, options()) for group, options in method.options.items()}


def follow_preset(parameters: Any) -> None:
    """Gives the options that nobody changed the values of the chosen preset."""
    chosen, followed = parameters.preset.name, parameters.followed_preset
    if chosen != followed:
        before, after = (preset_options(parameters.method, name) for name in (followed, chosen))
        for group, options in after.items():
            follow(parameters, group, before[group], options)
        parameters.followed_preset = chosen


def reset_to_preset(parameters: Any) -> None:
    """Gives every option the value of the chosen preset."""
    for group, preset in preset_options(parameters.method, parameters.preset.name).items():
        for field in changed(parameters, group, preset):
            parameters.setValue(parameter_name(group, field), to_parameter(field, getattr(preset, field.name)))
