"""The panel Registration Review in the host, and a pair of images whose motion is known."""

import numpy as np
import slicer
import vtk

from Testing.modules import MODULES
from Testing.patience import patient

SHIFT = np.array([8.0, 0.0, 0.0])  # mm from fixed to moving
SPACING, SIZE = 4.0, 36
SECONDS = patient(60.0)  # for a review


def open_panel(host):
    """The module's Python widget."""
    return host.open_module(MODULES["RegistrationReview"])


def parameters(panel):
    return panel._parameterNode


def places():
    """(D, H, W, 3) RAS mm of the voxels, around the origin."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack((x, y, z), -1)


def picture(points):
    """Smooth values in which every place differs from its neighbors, in a ball."""
    x, y, z = np.moveaxis(points, -1, 0)
    waves = 100 + 40 * np.sin(x / 9) + 30 * np.cos(y / 11) + 30 * np.sin(z / 10)
    return np.where(np.linalg.norm(points, axis=-1) < 60, waves, 0.0)


def affine():
    matrix = np.diag([SPACING] * 3 + [1.0])
    matrix[:3, 3] = -(SIZE - 1) / 2 * SPACING
    return matrix


def volume(name, values):
    node = slicer.util.addVolumeFromArray(values.astype(np.float32), ijkToRAS=affine(), name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 200)
    return node


def transform(name, shift):
    """A displacement grid that maps fixed to moving, from parent; shift: (3,) or (D, H, W, 3) mm."""
    from DiffRegLib.mrml.transforms import Grid, transform_node

    field = np.broadcast_to(shift, (SIZE, SIZE, SIZE, 3)).astype(np.float32)
    return slicer.mrmlScene.AddNode(transform_node([Grid(np.moveaxis(field, -1, 0).copy(), affine())], name))


def points(name, positions):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    held = vtk.vtkPoints()
    for position in positions:
        held.InsertNextPoint(*position)
    node.SetControlPointPositionsWorld(held)
    return node


def case(panel, error=(0.0, 0.0, 0.0), folds=False):
    """Fills the inputs: the moving image is the fixed one shifted, the transform off by `error` mm; gives landmarks."""
    field = np.tile(SHIFT + error, (SIZE, SIZE, SIZE, 1))
    if folds:
        field[16:20, 16:20, 24:26, 0] += np.array([12.0, -4.0])
    chosen = parameters(panel)
    chosen.fixed = volume("Fixed", picture(places()))
    chosen.moving = volume("Moving", picture(places() - SHIFT))
    chosen.transform = transform("Result", field)
    chosen.inverse = transform("Result inverse", -SHIFT - error)
    marks = np.random.default_rng(0).uniform(-40, 40, (6, 3))
    chosen.fixed_landmarks, chosen.moving_landmarks = points("F", marks), points("M", marks + SHIFT)
    return marks


def review(host, panel):
    """Presses Review and waits until it is over."""
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: not panel.busy, SECONDS, "the end of the review")
    host.process(50)
