"""Placing pairs side by side: a click in the fixed image, then one in the moving image, which jumps to the place.

Beside both lies what is mended over the fixed image."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from DiffRegLib.mrml import arrays, layout, show
from DiffRegLib.mrml.seen import defined_points, seen_points
from DiffRegLib.mrml.transforms import from_world
from RegistrationReviewLib.mending import pair_nodes

VIEWS = (layout.FIXED_VIEW, layout.MOVING_VIEW, layout.BOTH_VIEW)


class Placing:
    """While it is on, clicks place pairs. panel: a `VTKObservationMixin`."""

    def __init__(self, panel: Any) -> None:
        self._panel, self._parameters, self._before = panel, None, None

    @property
    def on(self) -> bool:
        return self._parameters is not None

    def start(self, parameters: Any) -> None:
        """Shows both images side by side, each where it was acquired, and waits for the first click."""
        self._parameters = parameters
        shown = parameters.fixed, parameters.moving, parameters.warped
        self._before = layout.with_overlay(slicer.mrmlScene, *shown, parameters.overlay_opacity)
        show.link(slicer.mrmlScene, VIEWS, linked=False)  # or the expected place would not stay in view
        for node in pair_nodes(parameters):
            self._panel.addObserver(node, node.PointPositionDefinedEvent, self._placed)
        self._next()

    def stop(self) -> None:
        """Clicks are what they were, and so are the views."""
        parameters, self._parameters = self._parameters, None
        if parameters is None:
            return
        self._panel.removeObservers(self._placed)
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        show.link(slicer.mrmlScene, VIEWS)
        layout.restore(slicer.mrmlScene, self._before)

    def show(self, over: Any) -> None:
        """Lays a volume over the fixed image: a first look, or all of the mended one."""
        fixed, opacity = self._parameters.fixed, self._parameters.overlay_opacity
        show.blend(slicer.mrmlScene, fixed, over, opacity, views=[layout.BOTH_VIEW])

    def _placed(self, caller: Any, event: str) -> None:
        self._next()

    def _next(self) -> None:
        """The list that the next click belongs to; after one in the fixed image the moving one jumps to its place."""
        fixed, moving = pair_nodes(self._parameters)
        begun = len(defined_points(fixed)) > len(defined_points(moving))
        if begun:
            place = seen_points(fixed).positions[-1]
            for view, to in ((layout.MOVING_VIEW, self.expected(place)), (layout.BOTH_VIEW, place)):
                node = slicer.mrmlScene.GetSingletonNode(view, "vtkMRMLSliceNode")
                if node is not None:
                    node.JumpSliceByCentering(*to)
        logic = slicer.app.applicationLogic()
        selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
        selection.SetActivePlaceNodeID((moving if begun else fixed).GetID())
        interaction.SetPlaceModePersistence(1)
        interaction.SetCurrentInteractionMode(interaction.Place)

    def expected(self, place: np.ndarray) -> np.ndarray:
        """(3,) RAS mm: where the transform takes a place of the fixed image, as mended as it is by now."""
        transform = self._parameters.mended or self._parameters.transform
        return arrays.map_points(from_world(transform), np.asarray(place)[None])[0]
