"""What the panel listens to, besides its settings: the content of the nodes that these name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from DiffRegLib.mrml.panel.observed_nodes import ObservedNodes
from XRayPoseLib.parameters import VIEWS
from XRayPoseLib.pose import fault_of

ROLES = ("ct", "part", *(f"xray_{n}" for n in VIEWS), "landmarks", "clicks")


class Observed:
    """Calls `changed` when the content of an input changes, and the panel's `onPoseModified` when the CT moves."""

    def __init__(self, panel: Any, changed: Callable[..., None]) -> None:
        self._panel, self._changed = panel, changed
        self._inputs = ObservedNodes(panel, changed)
        self._parameters: Any = None
        self._pose: Any = None
        self._fault = ""  # why the pose is none
        logic = slicer.app.applicationLogic()
        mode, selection = logic.GetInteractionNode(), logic.GetSelectionNode()
        panel.addObserver(mode, mode.InteractionModeChangedEvent, changed)
        panel.addObserver(selection, selection.ActivePlaceNodeIDChangedEvent, changed)  # the mode may have been on

    def follow(self, parameters: Any) -> None:
        """Listens to the nodes that the settings name now."""
        self._parameters, self._fault = parameters, fault_of(parameters)
        self._inputs.follow(parameters.getValue(role) for role in ROLES)
        if parameters.pose is not self._pose:
            self._panel.removeObservers(self._moved)
            self._pose = parameters.pose
            if self._pose is not None:
                event = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
                self._panel.addObserver(self._pose, event, self._moved)

    def _moved(self, caller: Any, event: str) -> None:
        fault = fault_of(self._parameters)
        if fault != self._fault:
            self._changed()  # the pose is none any more, or one again
        if not fault:
            self._panel.onPoseModified()
