"""Landmark pairs: a click in the CT, one in the X-ray, and the pose that brings them together."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.seen import defined_points, name_of, world_matrix

FEWEST = 4
ROLES = {"landmarks": _("CT landmark"), "clicks": _("X-ray click")}


def place(parameters: Any, role: str, on: bool) -> None:
    """Lets the next clicks place points of a role until it is switched off; their node is made where there is none."""
    logic = slicer.app.applicationLogic()
    interaction, selection = logic.GetInteractionNode(), logic.GetSelectionNode()
    if not on:
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        return
    node = parameters.getValue(role)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", ROLES[role])
        node.CreateDefaultDisplayNodes()
        parameters.setValue(role, node)
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
    selection.SetActivePlaceNodeID(node.GetID())
    interaction.SetPlaceModePersistence(1)
    interaction.SetCurrentInteractionMode(interaction.Place)


def placing(parameters: Any) -> str:
    """The role whose points the clicks place at this moment, or ""."""
    logic = slicer.app.applicationLogic()
    interaction = logic.GetInteractionNode()
    if interaction.GetCurrentInteractionMode() != interaction.Place:
        return ""
    active = logic.GetSelectionNode().GetActivePlaceNodeID()
    nodes = {role: parameters.getValue(role) for role in ROLES}
    return next((role for role, node in nodes.items() if node is not None and node.GetID() == active), "")


def why_not(parameters: Any) -> str:
    """Why there is no pose from landmarks yet, in one sentence, or ""."""
    counts = [len(defined_points(node)) if node is not None else 0 for node in _nodes(parameters)]
    if min(counts) < FEWEST or counts[0] != counts[1]:
        text = _("{a} points in the CT and {b} in the X-ray: place at least {n} pairs, in the same order.")
        return text.format(a=counts[0], b=counts[1], n=FEWEST)
    return ""


def solve(parameters: Any, camera: Any) -> Any:
    """The library's `LandmarkPose` of the pairs, for the camera of X-ray 1; raises RegistrationError. Needs torch."""
    import torch

    from DiffRegLib.mrml.xray.detector import seen_pixel
    from DiffRegLib.radiographs.landmarks import pose_from_landmarks

    if reason := why_not(parameters):
        raise RegistrationError(reason)
    landmarks, clicks = _nodes(parameters)
    to_ct = np.linalg.inv(world_matrix(parameters.ct))
    points = [(to_ct @ [*p, 1])[:3] for p in _world(landmarks)]
    pixels = [seen_pixel(camera, p) for p in _world(clicks)]
    try:
        return pose_from_landmarks(torch.tensor(np.array(points)), torch.tensor(np.array(pixels)), camera)
    except RegistrationError as error:
        raise RegistrationError(f"{name_of(landmarks)}, {name_of(clicks)}: {error}") from None


def _nodes(parameters: Any) -> tuple[Any, Any]:
    return parameters.landmarks, parameters.clicks


def _world(node: Any) -> list[np.ndarray]:
    """The placed points of a list where they are seen, (3,) RAS mm."""
    found = []
    for index in defined_points(node):
        position = np.zeros(3)
        node.GetNthControlPointPositionWorld(index, position)
        found.append(position)
    return found
