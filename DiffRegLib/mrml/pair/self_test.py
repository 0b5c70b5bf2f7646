"""The module's own test of a pair's panel: an input comes back from a shift that is known."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from DiffRegLib.mrml.panel.self_test import PanelTest

SHIFT = (6.0, -4.0, 5.0)  # mm from fixed to moving
POINTS = 400
MOST_MM = 1.0  # of the mean error


class PairTest(PanelTest):
    """Base of the tests; runs inside Slicer and in the test host.

    preset: which of the method's is taken, "" for the first. settings: options that make the run short, by parameter.
    """

    preset = ""
    settings: Mapping[str, Any] = {}

    def makeLogic(self) -> Any:
        """The logic of the module, a `PairLogic`."""
        raise NotImplementedError

    def test_a_shift_is_found(self) -> None:
        logic = self.makeLogic()
        parameters = logic.getParameterNode()
        self.delayDisplay(f"{logic.settings.method.title}: registering a shifted copy")
        if self.preset:
            parameters.preset = type(parameters.preset)[self.preset]
        for name, value in self.settings.items():
            parameters.setValue(name, value)
        inputs = _points if "points" in logic.settings.method.input("fixed").kinds else _volumes
        parameters.fixed, parameters.moving = inputs("Fixed", (0.0, 0.0, 0.0)), inputs("Moving", SHIFT)
        logic.process(parameters)
        self.assertLess(_error(parameters.output_transform), MOST_MM)
        self.delayDisplay("The shift was found")


def _points(name: str, shift: tuple[float, float, float]) -> Any:
    """A cloud without any symmetry."""
    generator = random.Random(0)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for _point in range(POINTS):
        node.AddControlPoint([generator.uniform(-60, 60) + mm for mm in shift])
    return node


def _volumes(name: str, shift: tuple[float, float, float]) -> Any:
    """A uniform ball with three balls in it, soft at their borders, in voxels of 3 mm."""
    size, voxel = 48, 3.0
    z, y, x = np.meshgrid(*[(np.arange(size) - (size - 1) / 2) * voxel] * 3, indexing="ij")
    places = ((0, 0, 0, 60, 0.5), (20, 10, -15, 14, 1.0), (-25, 5, 20, 10, -0.5), (5, -25, 10, 12, 0.7))
    values = np.zeros_like(x)
    for a, b, c, radius, bright in places:
        away = np.sqrt((x - shift[0] - a) ** 2 + (y - shift[1] - b) ** 2 + (z - shift[2] - c) ** 2)
        values += bright / (1 + np.exp((away - radius) / 2))
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -voxel * (size - 1) / 2
    return slicer.util.addVolumeFromArray(1000 * values - 500, ijkToRAS=affine, name=name)


def _error(transform: Any) -> float:
    """The mean distance in mm between where points near the middle go and where they should."""
    errors = []
    for corner in np.array(np.meshgrid(*[(-20.0, 20.0)] * 3)).reshape(3, -1).T:
        moved = transform.GetTransformFromParent().TransformPoint(corner)
        errors.append(np.linalg.norm(np.array(moved) - corner - SHIFT))
    return float(np.mean(errors))
