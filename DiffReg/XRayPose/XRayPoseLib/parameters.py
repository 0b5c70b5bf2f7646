"""The settings of the panel, all of them, as they are stored in the scene."""

from __future__ import annotations

import enum
from typing import Annotated, Union

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper

from DiffRegLib.methods import method
from DiffRegLib.mrml.panel.option_parameters import with_options
from DiffRegLib.radiographs.options import CArmOptions

VIEWS = (1, 2)
CARMS = {f"view_{number}": CArmOptions for number in VIEWS}
METHOD = method("projective")
GROUPS = {group: METHOD.options[group] for group in ("pose", "imaging")}  # where to start is said by hand
ELSEWHERE = {"pose": ("search",), "imaging": ("labels",)}
"""Options that the panel has a place of its own for: the button that was pressed, and the part of the CT."""

LABELS = {"geometry": _("the section C-arm"), "ct": _("CT"), "xray": _("X-ray"), "mask": _("Part")}
"""Options and inputs of a job that the panel does not simply call by their names."""

Part = Union[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLLabelMapVolumeNode, None]  # noqa: UP007


class Over(enum.Enum):
    """What is laid over the X-ray; the names are the library's modes."""

    BLEND = "Radiograph of the CT"
    RED_CYAN = "X-ray red, CT cyan"
    CONTOURS = "Contours of the CT"
    CHECKERBOARD = "Checkerboard"
    DIFFERENCE = "Difference"
    NOTHING = "X-ray alone"

    def label(self) -> str:
        return _(self.value)

    @property
    def mode(self) -> str:
        """The library's name of it; empty for nothing."""
        return "" if self is Over.NOTHING else self.name.lower().replace("_", "-")


@parameterNodeWrapper
@with_options({**CARMS, **GROUPS})
class XRayPoseParameterNode:
    """Inputs, the C-arm of each view, options by group and name, what the views show, and the last result.

    part, part_name: what of the CT is projected alone, and which segment or label of it (empty: all of them).
    pose: the CT's place in the world of the C-arm. landmarks, clicks: pairs in their order, in the CT and in X-ray 1.
    drr_1, drr_2, measures (JSON) and loss (a plot) belong to the last registration that ended well.
    """

    ct: slicer.vtkMRMLScalarVolumeNode
    part: Part
    part_name: str = ""
    xray_1: slicer.vtkMRMLScalarVolumeNode
    xray_2: slicer.vtkMRMLScalarVolumeNode
    pose: slicer.vtkMRMLLinearTransformNode
    landmarks: slicer.vtkMRMLMarkupsFiducialNode
    clicks: slicer.vtkMRMLMarkupsFiducialNode
    live: bool = False
    over: Annotated[Over, Default(Over.BLEND)]
    over_opacity: Annotated[float, WithinRange(0.0, 1.0), Default(0.5)]
    show_beam: bool = True
    show_volume: bool = True
    show_handles: bool = True
    drag: bool = True
    drr_1: slicer.vtkMRMLScalarVolumeNode
    drr_2: slicer.vtkMRMLScalarVolumeNode
    measures: str = ""
    loss: slicer.vtkMRMLPlotChartNode


def xrays(parameters: XRayPoseParameterNode) -> list[tuple[int, slicer.vtkMRMLScalarVolumeNode]]:
    """Number and node of every X-ray that is chosen."""
    chosen = [(number, parameters.getValue(f"xray_{number}")) for number in VIEWS]
    return [(number, node) for number, node in chosen if node is not None]
