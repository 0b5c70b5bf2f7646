"""Two volumes as a checkerboard, or side by side in linked views; what is made for it is hidden and never saved."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.mrml import layout, show
from DiffRegLib.mrml.pair.parameters import Display
from DiffRegLib.mrml.seen import kind_of

TAG = "DiffRegCheckerboard"
_before: list[int] = []  # the layout that side by side has replaced


def can_compare(fixed: Any, warped: Any) -> bool:
    """Whether both are images; label maps, surfaces and points are seen better over each other."""
    return kind_of(fixed) == kind_of(warped) == "volume"


def show_comparison(display: Display, fixed: Any, warped: Any) -> None:
    """Shows both images as `display` says, CHECKERBOARD or SIDE_BY_SIDE."""
    if display is Display.SIDE_BY_SIDE:
        leave(checkerboard=True)
        before = layout.side_by_side(slicer.mrmlScene, fixed, warped)
        if not layout.is_ours(before):
            _before[:] = [before]
        return
    leave()
    node = show.checkerboard(fixed, warped, _("Checkerboard of {name}").format(name=fixed.GetName()))
    node.SetSingletonTag(TAG)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node = slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display_node, like = node.GetDisplayNode(), fixed.GetDisplayNode()
    display_node.SetSaveWithScene(False)
    if like is not None:
        display_node.CopyContent(like)
    show.blend(slicer.mrmlScene, node, None)


def leave(checkerboard: bool = False) -> None:
    """Ends either; `checkerboard`: that alone."""
    node = slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLScalarVolumeNode")
    if node is not None:
        display_node = node.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(node)
        if display_node is not None:
            slicer.mrmlScene.RemoveNode(display_node)
    if _before and not checkerboard:
        layout.restore(slicer.mrmlScene, _before.pop())
