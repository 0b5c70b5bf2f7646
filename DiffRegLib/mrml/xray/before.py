"""What the views showed before the live radiograph, so that it comes back afterwards."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.layout import layout_node
from DiffRegLib.mrml.xray.layout import LAYOUTS, SLICES, camera_node, composite_of, slice_node


class Before:
    """Remembers the layout, the slices of the patient and the camera of the 3D view as they are now.

    covered: the volume that the slices show meanwhile; one that a person has given another volume keeps that.
    """

    def __init__(self, covered: Any) -> None:
        self._covered = covered
        self._layout = layout_node(slicer.mrmlScene).GetViewArrangement()
        self._slices = [_Slice(view) for view in SLICES]
        camera = camera_node()
        self._camera = None if camera is None else (camera, *_place(camera))

    def restore(self) -> None:
        """Brings it back; what a person has chosen meanwhile stays."""
        layout = layout_node(slicer.mrmlScene)
        ours = layout.GetViewArrangement() in LAYOUTS
        if ours:  # also where a scene was loaded that had been saved with it
            layout.SetViewArrangement(layout.SlicerLayoutFourUpView if self._layout in LAYOUTS else self._layout)
        for one in self._slices:
            one.restore(self._covered, ours)
        if ours and self._camera is not None and self._camera[0].GetScene() is not None:
            camera, position, focus, up = self._camera
            camera.SetPosition(*position)
            camera.SetFocalPoint(*focus)
            camera.SetViewUp(*up)
            camera.ResetClippingRange()


class _Slice:
    """One slice view: its volume, and the part of the slice that is seen."""

    def __init__(self, view: str) -> None:
        self._composite, self._node = composite_of(view), slice_node(view)
        self._volume = self._composite.GetBackgroundVolumeID()
        node = self._node
        if node is not None:
            self._plane = arrays.matrix_to_array(node.GetSliceToRAS())
            self._size, self._field, self._origin = node.GetDimensions(), node.GetFieldOfView(), node.GetXYZOrigin()

    def restore(self, covered: Any, ours: bool) -> None:
        if not self._volume or self._composite.GetScene() is None:
            return
        now = self._composite.GetBackgroundVolumeID()
        if now and (covered.GetScene() is None or now != covered.GetID()):
            return
        self._composite.SetBackgroundVolumeID(self._volume)
        if ours and self._node is not None:
            self._node.GetSliceToRAS().DeepCopy(arrays.array_to_matrix(self._plane))
            self._node.UpdateMatrices()
            qt.QTimer.singleShot(0, self._zoom)  # once the view has its size again

    def _zoom(self) -> None:
        if self._node.GetScene() is not None and self._node.GetDimensions()[:2] == self._size[:2]:
            self._node.SetFieldOfView(*self._field)
            self._node.SetXYZOrigin(*self._origin)


def _place(camera: Any) -> tuple[Any, ...]:
    return camera.GetPosition(), camera.GetFocalPoint(), camera.GetViewUp()
