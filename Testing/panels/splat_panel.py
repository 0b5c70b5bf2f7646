"""The panel Splat Registration in the host, small inputs whose answer is known, and the scene as text."""

import numpy as np
import slicer
import vtk

from Testing.modules import MODULES

SHIFT = np.array([6.0, -4.0, 5.0])  # mm from fixed to moving
SECONDS = 120.0  # for a worker on a busy machine


def open_panel(host):
    """The module's Python widget, its parameter node as `panel.parameters`."""
    return host.open_module(MODULES["SplatRegistration"])


def parameters(panel):
    return panel._parameterNode


def cloud(count=400, seed=0):
    """(count, 3) RAS mm: points on a bumpy ellipsoid, so that a shift shows in every direction."""
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bumps = 1 + 0.15 * np.sin(5 * directions[:, :1]) * np.cos(4 * directions[:, 1:2])
    return directions * bumps * (60, 45, 70)


def points_node(name, positions):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.SetControlPointPositionsWorld(_vtk_points(positions))
    return node


def model_node(name, center):
    """A bumpless ellipsoid as a surface."""
    sphere = vtk.vtkSphereSource()
    sphere.SetThetaResolution(40)
    sphere.SetPhiResolution(30)
    sphere.SetRadius(50)
    sphere.SetCenter(*center)
    sphere.Update()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetAndObservePolyData(sphere.GetOutput())
    node.CreateDefaultDisplayNodes()
    return node


def labels_node(name, center, node_class="vtkMRMLLabelMapVolumeNode"):
    """A ball of radius 30 mm in voxels of 4 mm: a label map, or a volume of 0 and 1000."""
    k, j, i = np.meshgrid(*[np.arange(30)] * 3, indexing="ij")
    distance = np.linalg.norm(np.stack((i, j, k), -1) * 4.0 - 60 - np.asarray(center), axis=-1)
    inside = (distance < 30).astype(np.int16)
    node = slicer.mrmlScene.AddNewNodeByClass(node_class, name)
    node.SetSpacing(4, 4, 4)
    node.SetOrigin(-60, -60, -60)
    slicer.util.updateVolumeFromArray(node, inside if "Label" in node_class else inside * 1000)
    node.CreateDefaultDisplayNodes()
    return node


def choose_points(panel, count=400):
    """Two lists of points as inputs: the moving one is the fixed one, shifted."""
    fixed = cloud(count)
    pair = points_node("Fixed cloud", fixed), points_node("Moving cloud", fixed + SHIFT)
    choose(panel, *pair, preset="generic-points")
    return pair


def choose(panel, fixed, moving, preset="organ-surfaces"):
    """Inputs, and options that take a second instead of a minute and are enough for a shift."""
    chosen = parameters(panel)
    chosen.preset = next(p for p in type(chosen.preset) if p.name == preset)
    chosen.fixed, chosen.moving = fixed, moving
    chosen.splatting_search = False
    chosen.splatting_coarse_iterations, chosen.splatting_fine_iterations = 5, 5
    chosen.splatting_fine_sigmas, chosen.splatting_control_spacing, chosen.splatting_voxel = "8", 16.0, 4.0
    chosen.clouds_points = chosen.clouds_points_per_label = 800


def run(host, panel):
    """Presses Apply and waits until it is over."""
    host.click(panel.ui.applyButton)
    finish(host, panel)


def finish(host, panel):
    host.wait_until(lambda: panel.runner.run is None, SECONDS, "the end of the registration")
    transform = parameters(panel).output_transform
    if panel.ui.gridCheckBox.enabled and panel.ui.gridCheckBox.checked and not panel.ui.statusLabel.text:
        host.wait_until(lambda: transform.GetDisplayNode() and transform.GetDisplayNode().GetVisibility())
    host.process(100)


def working(host, panel):
    """Waits until the worker optimizes: the first loss has arrived."""
    host.wait_until(lambda: panel.runner.view.points > 0 or panel.runner.run is None, SECONDS, "the first iteration")
    assert panel.runner.run is not None, panel.ui.logTextEdit.plainText


def error_mm(fixed, warped):
    """The mean distance in mm between the control points of two lists, row by row."""
    a, b = (slicer.util.arrayFromMarkupsControlPoints(node, world=True) for node in (fixed, warped))
    return float(np.linalg.norm(a - b, axis=1).mean())


def scene_as_text():
    """Every node of the scene and everything that is stored of it."""
    scene = slicer.mrmlScene
    scene.SetSaveToXMLString(1)
    scene.Commit()
    scene.SetSaveToXMLString(0)
    ids = [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]
    return "\n".join([*map(str, ids), scene.GetSceneXMLString()])


def node_names():
    """Class and name of every node in the scene."""
    nodes = [slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())]
    return [f"{node.GetClassName()} {node.GetName()}" for node in nodes]


def _vtk_points(positions):
    points = vtk.vtkPoints()
    for position in positions:
        points.InsertNextPoint(*position)
    return points
