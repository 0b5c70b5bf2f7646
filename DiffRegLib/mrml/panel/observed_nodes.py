"""What a panel listens to besides its settings: the content of the nodes that these name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slicer
import vtk


class ObservedNodes:
    """Calls `changed` when the content of a node changes. panel: a `VTKObservationMixin`.

    moved: whether it counts too that a node or its points have moved, have other names, or are under a transform.
    """

    def __init__(self, panel: Any, changed: Callable[..., None], moved: bool = False) -> None:
        self._panel, self._changed, self._moved = panel, changed, moved
        self._nodes: set[Any] = set()

    def follow(self, nodes: Iterable[Any]) -> None:
        """Listens to these nodes from now on, and to no others; None is passed over."""
        wanted = set(nodes) - {None}
        for node in self._nodes - wanted:
            for event in self._events(node):
                self._panel.removeObserver(node, event, self._changed)
        for node in wanted:
            for event in self._events(node):
                if not self._panel.hasObserver(node, event, self._changed):
                    self._panel.addObserver(node, event, self._changed)
        self._nodes = wanted

    def _events(self, node: Any) -> list[int]:
        events = _content_events(node)
        if self._moved:
            events.append(slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
            events += [node.PointModifiedEvent] if node.IsA("vtkMRMLMarkupsNode") else []
        return events


def _content_events(node: Any) -> list[int]:
    """The events by which a node tells that its content has changed."""
    if node.IsA("vtkMRMLMarkupsNode"):
        return [node.PointPositionDefinedEvent, node.PointPositionUndefinedEvent, node.PointRemovedEvent]
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = slicer.vtkSegmentation
        return [segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified]
    if node.IsA("vtkMRMLVolumeNode"):
        return [vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent]
    return [vtk.vtkCommand.ModifiedEvent]
