"""The pose of the CT as a transform node: read, set, undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import name_of, world_matrix
from XRayPoseLib.carm import center_of

MOST_STEPS = 200  # that can be undone
SAME = 1e-7


def check_ct(parameters: Any) -> None:
    """Raises RegistrationError where the CT is under a transform that is not the pose."""
    ct, pose = parameters.ct, parameters.pose
    parent = ct.GetParentTransformNode()
    if parent is not None and parent is not pose:
        raise RegistrationError(
            _("{ct} is under the transform {parent}: choose that as the pose, or take the CT out of it.").format(
                ct=name_of(ct), parent=name_of(parent)
            )
        )
    if pose is not None and pose.GetParentTransformNode() is not None:
        raise RegistrationError(
            _("The pose {pose} is under another transform: take it out of that.").format(pose=name_of(pose))
        )
    if pose is not None and not is_rigid(matrix_of(pose)):
        raise RegistrationError(
            _("The pose {pose} stretches, shears or mirrors: choose a rigid transform.").format(pose=name_of(pose))
        )


def fault_of(parameters: Any) -> str:
    """What `check_ct` says, or ""; also for a CT that is gone."""
    try:
        if parameters.ct is not None:
            check_ct(parameters)
    except RegistrationError as error:
        return str(error)
    return ""


def is_rigid(matrix: np.ndarray) -> bool:
    rotation = matrix[:3, :3]
    return bool(np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-4 and np.linalg.det(rotation) > 0)


def matrix_of(node: Any) -> np.ndarray:
    """(4,4) float64: CT world to C-arm world, RAS mm."""
    matrix = arrays.array_to_matrix(np.eye(4))
    node.GetMatrixTransformToParent(matrix)
    return arrays.matrix_to_array(matrix)


class Pose:
    """The transform node of the parameters with its history; made and put over the CT on first use."""

    def __init__(self, parameters: Any) -> None:
        self.parameters = parameters
        self._past: list[np.ndarray] = []
        self._future: list[np.ndarray] = []
        self._settled: np.ndarray | None = None

    @property
    def node(self) -> Any:
        return self.parameters.pose

    def ensure(self) -> Any:
        """The node, in the scene, with what is of the CT under it and its handles about the middle of the CT."""
        parameters, ct = self.parameters, self.parameters.ct
        check_ct(parameters)
        if parameters.pose is None:
            name = _("Pose of {ct}").format(ct=ct.GetName())
            parameters.pose = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        if ct.GetParentTransformNode() is not parameters.pose:
            ct.SetAndObserveTransformNodeID(parameters.pose.GetID())
        self.take_along()
        parameters.pose.SetCenterOfTransformation(*center_of(ct))
        if self._settled is None:
            self._settled = self.matrix
        return parameters.pose

    def take_along(self) -> None:
        """Part and landmarks move with the CT from now on, those under no transform from their place in it.

        One under a transform of its own stays where it is seen beside the CT.
        """
        if self.node is not None:
            for node in filter(None, (self.parameters.part, self.parameters.landmarks)):
                self._put_under(self.node, node)

    def _put_under(self, pose: Any, node: Any) -> None:
        parent = node.GetParentTransformNode()
        if parent is None:
            node.SetAndObserveTransformNodeID(pose.GetID())
        elif parent is not pose and not parent.IsTransformNodeMyParent(pose) and parent.IsTransformToWorldLinear():
            name = _("Place of {node} in {ct}").format(node=node.GetName(), ct=self.parameters.ct.GetName())
            place = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
            beside = np.linalg.inv(self.matrix) @ world_matrix(node)
            place.SetMatrixTransformToParent(arrays.array_to_matrix(beside))
            place.SetAndObserveTransformNodeID(pose.GetID())
            node.SetAndObserveTransformNodeID(place.GetID())

    def forget(self) -> None:
        """Takes the node out of the scene, and the CT out of it: as before `ensure`."""
        node, self.parameters.pose = self.node, None
        self._past, self._future, self._settled = [], [], None
        if node is not None and node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(node)

    @property
    def matrix(self) -> np.ndarray:
        """(4,4) CT world to C-arm world; the identity while there is no node."""
        return np.eye(4) if self.node is None else matrix_of(self.node)

    def move(self, matrix: np.ndarray) -> None:
        """Sets the pose; the change can be undone once it has settled. RegistrationError where its node is gone."""
        if self.node is None:
            raise RegistrationError(_("The pose has been taken out of the scene: start again."))
        if np.abs(matrix - self.matrix).max() > SAME:
            self.node.SetMatrixTransformToParent(arrays.array_to_matrix(matrix))

    def settle(self) -> None:
        """What has been done since the last time becomes one step of the history."""
        now = self.matrix
        if self._settled is not None and np.abs(now - self._settled).max() > SAME:
            self._past.append(self._settled)
            del self._past[:-MOST_STEPS]
            self._future.clear()
        self._settled = now

    @property
    def can_undo(self) -> bool:
        return self.node is not None and (bool(self._past) or self._unsettled())

    @property
    def can_redo(self) -> bool:
        return self.node is not None and bool(self._future)

    def undo(self) -> None:
        self.settle()
        self._step(self._past, self._future)

    def redo(self) -> None:
        self._step(self._future, self._past)

    def _unsettled(self) -> bool:
        return self._settled is not None and np.abs(self.matrix - self._settled).max() > SAME

    def _step(self, source: list[np.ndarray], target: list[np.ndarray]) -> None:
        if source:
            target.append(self.matrix)
            self._settled = source.pop()
            self.node.SetMatrixTransformToParent(arrays.array_to_matrix(self._settled))
