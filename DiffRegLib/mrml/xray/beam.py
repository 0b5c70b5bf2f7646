"""The C-arm in the 3D view: source, beam and detector, with the X-ray on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from DiffRegLib.camera import Camera
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.xray.detector import corners

SOURCE_RADIUS = 8.0  # mm of the ball that stands for the source


def beam_mesh(camera: Camera) -> vtk.vtkPolyData:
    """The source as a ball, the four edges of the beam, its axis, and the detector's frame."""
    source = camera.source.numpy()
    frame = corners(camera)
    foot = source + camera.distance * camera.pose[:3, 2].double().numpy()
    parts = vtk.vtkAppendPolyData()
    ball = vtk.vtkSphereSource()
    ball.SetCenter(*source)
    ball.SetRadius(SOURCE_RADIUS)
    ball.SetThetaResolution(16)
    ball.SetPhiResolution(12)
    parts.AddInputConnection(ball.GetOutputPort())
    for path in ([*frame, frame[0]], *([source, corner] for corner in frame), [source, foot]):
        parts.AddInputData(_line(path))
    parts.Update()
    return parts.GetOutput()


def detector_mesh(camera: Camera) -> vtk.vtkPolyData:
    """The rectangle of the pixels with texture coordinates: the first pixel at (0, 0)."""
    upper_left, upper_right, _lower_right, lower_left = corners(camera)
    plane = vtk.vtkPlaneSource()
    plane.SetOrigin(*upper_left)
    plane.SetPoint1(*upper_right)
    plane.SetPoint2(*lower_left)
    plane.Update()
    return plane.GetOutput()


class Beam:
    """The models of one view, hidden from the lists of nodes and never saved: they are made again from the camera."""

    def __init__(self, name: str, color: tuple[float, float, float]) -> None:
        self._frame = _model(f"{name} beam", color)
        self._detector = _model(f"{name} detector", (1.0, 1.0, 1.0))
        display = self._detector.GetDisplayNode()
        display.SetBackfaceCulling(False)
        display.SetAmbient(1.0)
        display.SetDiffuse(0.0)
        display.SetSpecular(0.0)
        self._texture: vtk.vtkTrivialProducer | None = None
        self.nodes = (self._frame, self._detector)

    def show(self, camera: Camera, gray: np.ndarray | None) -> None:
        """Places the parts. gray: (rows, columns) uint8 on the detector, or None for what is there already."""
        self._frame.SetAndObservePolyData(beam_mesh(camera))
        self._detector.SetAndObservePolyData(detector_mesh(camera))
        if gray is not None:
            self._texture = vtk.vtkTrivialProducer()
            self._texture.SetOutput(arrays.image_data(np.repeat(gray[None, None], 3, axis=0)))
            self._detector.GetDisplayNode().SetTextureImageDataConnection(self._texture.GetOutputPort())

    def set_visible(self, visible: bool) -> None:
        for node in self.nodes:
            node.GetDisplayNode().SetVisibility(visible)

    def remove(self) -> None:
        """Takes the models out of the scene."""
        for node in self.nodes:
            if node.GetScene() is not None:
                display = node.GetDisplayNode()
                slicer.mrmlScene.RemoveNode(node)
                slicer.mrmlScene.RemoveNode(display)


def _model(name: str, color: tuple[float, float, float]) -> Any:
    node = slicer.vtkMRMLModelNode()
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node = slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetColor(*color)
    display.SetLineWidth(2)
    display.SetVisibility2D(False)
    return node


def _line(points: list[np.ndarray]) -> vtk.vtkPolyData:
    line = vtk.vtkPolyLine()
    line.GetPointIds().SetNumberOfIds(len(points))
    for number in range(len(points)):
        line.GetPointIds().SetId(number, number)
    cells = vtk.vtkCellArray()
    cells.InsertNextCell(line)
    mesh = vtk.vtkPolyData()
    mesh.SetPoints(arrays.to_vtk_points(np.array(points)))
    mesh.SetLines(cells)
    return mesh
