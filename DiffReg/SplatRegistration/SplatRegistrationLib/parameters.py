"""The settings of the panel, all of them, as they are stored in the scene."""

from __future__ import annotations

import enum
from typing import Annotated, Union

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper

from DiffRegLib.methods.splatting.options import PRESETS, SplattingOptions
from DiffRegLib.mrml.panel.option_parameters import changed, follow, parameter_name, to_parameter, with_options
from DiffRegLib.points.options import CloudOptions

GROUPS = {"splatting": SplattingOptions, "clouds": CloudOptions}
ROLES = ("fixed", "moving", "fixed_mask", "moving_mask", "fixed_landmarks", "moving_landmarks", "initial")
OUTPUTS = ("output_transform", "output_inverse", "output_warped")

Registered = Union[  # noqa: UP007  (Slicer before 5.11 knows no X | Y)
    slicer.vtkMRMLScalarVolumeNode,
    slicer.vtkMRMLLabelMapVolumeNode,
    slicer.vtkMRMLSegmentationNode,
    slicer.vtkMRMLModelNode,
    slicer.vtkMRMLMarkupsFiducialNode,
    None,
]
Mask = Union[slicer.vtkMRMLLabelMapVolumeNode, slicer.vtkMRMLSegmentationNode, None]  # noqa: UP007


class _Choice(enum.Enum):
    """Choices with names for people."""

    def label(self) -> str:
        return _(self.value)


Preset = _Choice("Preset", {name: name.replace("-", " ").capitalize() for name in PRESETS})


class Display(_Choice):
    """What is laid over the fixed input."""

    AFTER = "Moving after registration"
    BEFORE = "Moving before registration"
    FIXED = "Fixed alone"
    CHECKERBOARD = "Checkerboard of fixed and registered"
    SIDE_BY_SIDE = "Fixed and registered side by side"


@parameterNodeWrapper
@with_options(GROUPS)
class SplatRegistrationParameterNode:
    """Inputs by the roles that a job calls them, outputs, options by group and name, and what the views show.

    `preset` is what the person chose; `followed_preset` the one whose values the unchanged options hold.
    `result_fixed`, `result_moving`, `measures` (JSON) and `loss` (a plot) belong to the last run that ended well.
    """

    preset: Annotated[Preset, Default(next(iter(Preset)))]
    followed_preset: str = ""
    fixed: Registered
    moving: Registered
    fixed_mask: Mask
    moving_mask: Mask
    fixed_landmarks: slicer.vtkMRMLMarkupsFiducialNode
    moving_landmarks: slicer.vtkMRMLMarkupsFiducialNode
    initial: slicer.vtkMRMLTransformNode
    output_transform: slicer.vtkMRMLTransformNode
    output_inverse: slicer.vtkMRMLTransformNode
    output_warped: Registered
    display: Annotated[Display, Default(Display.AFTER)]
    overlay_opacity: Annotated[float, WithinRange(0.0, 1.0), Default(0.5)]
    show_grid: bool = True
    result_fixed: Registered
    result_moving: Registered
    measures: str = ""
    loss: slicer.vtkMRMLPlotChartNode


def follow_preset(parameters: SplatRegistrationParameterNode) -> None:
    """Gives the options that nobody changed the values of the chosen preset."""
    chosen, followed = parameters.preset.name, parameters.followed_preset
    if chosen != followed:
        follow(parameters, "splatting", PRESETS.get(followed, SplattingOptions()), PRESETS[chosen])
        parameters.followed_preset = chosen


def reset_to_preset(parameters: SplatRegistrationParameterNode) -> None:
    """Gives every option the value of the chosen preset."""
    presets = {"splatting": PRESETS[parameters.preset.name], "clouds": CloudOptions()}
    for group, preset in presets.items():
        for field in changed(parameters, group, preset):
            parameters.setValue(parameter_name(group, field), to_parameter(field, getattr(preset, field.name)))
