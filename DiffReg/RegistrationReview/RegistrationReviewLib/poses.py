"""A reviewed pose in the views: each X-ray with the CT's radiograph, contours before and after, and the uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays, layout
from DiffRegLib.mrml.layout import Pane

KEY = "DiffReg.PosePicture"
"""The attribute of a picture's node: the number of its X-ray and what it shows."""
ROWS = (("xray", "radiograph", "difference"), ("before", "after", "uncertainty"))
LABELS = {
    "xray": _("X-ray {n}"),
    "radiograph": _("CT {n}"),
    "difference": _("Difference {n}"),
    "before": _("Before {n}"),
    "after": _("After {n}"),
    "uncertainty": _("Uncertainty {n}"),
}
COLOR = "#4A90C2"


class PoseViews:
    """Shows the pictures of a review while it is the last one."""

    def __init__(self) -> None:
        self._before: int | None = None  # the layout that ours has replaced
        self._shown = ""

    def update(self, facts: Mapping[str, Any], review: str) -> None:
        """Brings the views in line. facts: of the last review; review: the same as it is stored, to tell a new one."""
        if not facts.get("xrays"):
            self.leave()
        elif review != self._shown:
            self._shown = review
            before = layout.pictures(slicer.mrmlScene, _rows(len(facts["xrays"])))
            self._before = self._before if layout.is_ours(before) else before

    def leave(self) -> None:
        """The views are as they were."""
        self._shown = ""
        if self._before is not None:
            layout.restore(slicer.mrmlScene, self._before)
            self._before = None


def bring(folder: Path, facts: Mapping[str, Any]) -> None:
    """Reads the pictures of a review from its folder, then puts them into the scene in place of those before.

    Raises RegistrationError where one is missing.
    """
    found = []
    for number, xray in enumerate(facts.get("xrays", ()), 1):
        for picture in xray["pictures"]:
            node = _read(folder / picture["file"], np.array(xray["affine"]))
            node.SetName(f"{xray['name']}: {picture['title']}")
            node.SetAttribute(KEY, f"{number} {picture['key']}")
            found.append(node)
    forget()
    for node in found:
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()


def forget() -> None:
    """Takes the pictures out of the scene."""
    for node in _nodes().values():
        display = node.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(node)
        if display is not None:
            slicer.mrmlScene.RemoveNode(display)


def _nodes() -> dict[str, Any]:
    """The pictures in the scene by the value of their attribute."""
    nodes = slicer.util.getNodesByClass("vtkMRMLVectorVolumeNode")
    return {key: node for node in nodes if (key := node.GetAttribute(KEY))}


def _rows(count: int) -> list[list[Pane]]:
    """Two rows of views an X-ray."""
    nodes, rows = _nodes(), []
    for number in range(1, count + 1):
        for keys in ROWS:
            rows.append(
                [
                    Pane(
                        f"DiffRegPose{number}{key}",
                        LABELS[key].format(n=number),
                        COLOR,
                        nodes.get(f"{number} {key}"),
                        orientation="",
                    )
                    for key in keys
                ]
            )
    return rows


def _read(path: Path, affine: np.ndarray) -> Any:
    """A colored picture as a node outside the scene, on its detector; affine: (4, 4) from the index to RAS mm."""
    reader = vtk.vtkPNGReader()
    if path.is_file() and reader.CanReadFile(str(path)):
        reader.SetFileName(str(path))
        reader.Update()
        upright = arrays.voxels(reader.GetOutput())[:, :, ::-1]  # VTK has the first row at the bottom
        image = arrays.image_data(np.ascontiguousarray(upright))
        return arrays.volume_node(slicer.vtkMRMLVectorVolumeNode, path.stem, image, affine)
    raise RegistrationError(_("{path} cannot be read: press Review again.").format(path=path))
