"""The settings of the panel, all of them, as they are stored in the scene."""

from __future__ import annotations

from typing import Annotated, Union

import slicer
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper

from DiffRegLib.mrml.pair.parameters import Choice
from DiffRegLib.mrml.panel.option_parameters import with_options
from DiffRegLib.review.limits import LimitOptions

GROUPS = {"limits": LimitOptions}
Labels = Union[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLLabelMapVolumeNode, None]  # noqa: UP007
MAPS = ("magnitude", "determinant", "inverse_error", "distance", "similarity", "spread")
VOLUMES = (*MAPS, "marks", "warped", "start")
"""What a review brings into the scene, as `DiffRegLib.review.stored` calls it."""


class Compare(Choice):
    """How the two images are compared."""

    BLEND = "Moving over fixed"
    RED_CYAN = "Fixed red, moving cyan"
    CHECKERBOARD = "Checkerboard"
    CURTAIN = "Curtain that follows the mouse"
    DIFFERENCE = "Difference"
    FIXED = "Fixed alone"
    SIDE_BY_SIDE = "Side by side"
    THREE_BY_THREE = "Fixed, moving and both in three directions"


class Look(Choice):
    """How the transform is drawn; the names are the library's."""

    NOTHING = "Not at all"
    GRID = "Grid"
    GLYPHS = "Arrows"
    CONTOURS = "Contours of its length"


class Map(Choice):
    """The map in colors over the fixed image; the names are the library's."""

    NOTHING = "None"
    MAGNITUDE = "Displacement"
    DETERMINANT = "Volume change"
    INVERSE_ERROR = "Inverse consistency"
    DISTANCE = "Distance to what drove it"
    SIMILARITY = "Local correlation after"
    SPREAD = "Spread over repeats"


@parameterNodeWrapper
@with_options(GROUPS)
class RegistrationReviewParameterNode:
    """Inputs, what the views show, the limits, the last review, and the pairs with which the transform is mended.

    pose_result: the result folder of a pose, which is reviewed in place of the images. repeats: how often the method
    runs again with another seed. review: the facts of the last review as JSON; the volumes of `VOLUMES` and `report`,
    the path of its page, belong to it. mended, mended_inverse: the corrected transform and its inverse.
    """

    fixed: slicer.vtkMRMLScalarVolumeNode
    moving: slicer.vtkMRMLScalarVolumeNode
    transform: slicer.vtkMRMLTransformNode
    inverse: slicer.vtkMRMLTransformNode
    fixed_labels: Labels
    moving_labels: Labels
    fixed_landmarks: slicer.vtkMRMLMarkupsFiducialNode
    moving_landmarks: slicer.vtkMRMLMarkupsFiducialNode
    fixed_mask: Labels
    pose_result: str = ""
    repeats: Annotated[int, WithinRange(0, 10), Default(0)]
    compare: Annotated[Compare, Default(Compare.BLEND)]
    overlay_opacity: Annotated[float, WithinRange(0.0, 1.0), Default(0.5)]
    tile: Annotated[float, WithinRange(2.0, 200.0), Default(30.0)]
    rate: Annotated[float, WithinRange(0.2, 10.0), Default(1.5)]
    before: bool = False
    look: Annotated[Look, Default(Look.NOTHING)]
    map: Annotated[Map, Default(Map.NOTHING)]
    show_folds: bool = True
    show_veil: bool = False
    reach: Annotated[float, WithinRange(5.0, 200.0), Default(40.0)]
    pairs_fixed: slicer.vtkMRMLMarkupsFiducialNode
    pairs_moving: slicer.vtkMRMLMarkupsFiducialNode
    mended: slicer.vtkMRMLTransformNode
    mended_inverse: slicer.vtkMRMLTransformNode
    review: str = ""
    report: str = ""
    magnitude: slicer.vtkMRMLScalarVolumeNode
    determinant: slicer.vtkMRMLScalarVolumeNode
    inverse_error: slicer.vtkMRMLScalarVolumeNode
    distance: slicer.vtkMRMLScalarVolumeNode
    similarity: slicer.vtkMRMLScalarVolumeNode
    spread: slicer.vtkMRMLScalarVolumeNode
    marks: slicer.vtkMRMLLabelMapVolumeNode
    warped: slicer.vtkMRMLScalarVolumeNode
    start: slicer.vtkMRMLScalarVolumeNode


INPUTS = {  # role: title, what it is, the classes of its nodes, what stands there while none is chosen
    "fixed": ("Fixed", "The image that stays.", ("ScalarVolume",), "Select a fixed image"),
    "moving": ("Moving", "The image that was brought onto it.", ("ScalarVolume",), "None"),
    "transform": (
        "Transform",
        "Of any program; seen as a transform over the moving image.",
        ("Transform",),
        "Select a transform",
    ),
    "inverse": ("Inverse", "Back from the moving to the fixed image: is it consistent?", ("Transform",), "None"),
    "fixed_landmarks": ("Fixed landmarks", "Points with known counterparts.", ("MarkupsFiducial",), "None"),
    "moving_landmarks": ("Moving landmarks", "Their counterparts, in their order.", ("MarkupsFiducial",), "None"),
    "fixed_labels": ("Fixed labels", "Structures of the fixed image.", ("Segmentation", "LabelMapVolume"), "None"),
    "moving_labels": ("Moving labels", "The same structures.", ("Segmentation", "LabelMapVolume"), "None"),
    "fixed_mask": ("Fixed mask", "Where the registration looked.", ("Segmentation", "LabelMapVolume"), "None"),
}
FIRST = ("fixed", "moving", "transform")
"""The inputs that stand outside of the group of further ones."""
