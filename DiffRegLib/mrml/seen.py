"""Nodes where they are seen: copies outside the scene with the parent transforms applied; no node is changed."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import slicer
import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays

Kind = Literal["volume", "labels", "segmentation", "model", "markups", "transform"]

CLASSES: dict[Kind, tuple[str, ...]] = {
    "labels": ("vtkMRMLLabelMapVolumeNode",),
    "volume": ("vtkMRMLScalarVolumeNode",),
    "segmentation": ("vtkMRMLSegmentationNode",),
    "model": ("vtkMRMLModelNode",),
    "markups": ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsCurveNode", "vtkMRMLMarkupsLineNode"),
    "transform": ("vtkMRMLTransformNode",),
}
VOXELS: tuple[Kind, ...] = ("volume", "labels", "segmentation")


@dataclasses.dataclass(frozen=True)
class Points:
    """Points of a node as seen: (N, 3) float64 RAS mm, with their labels where they are control points."""

    positions: np.ndarray
    labels: tuple[str, ...] = ()


def name_of(node: Any) -> str:
    return f'"{node.GetName()}"'


def kind_of(node: Any) -> Kind:
    """What a node is; raises `RegistrationError` for one that cannot be registered."""
    for kind, classes in CLASSES.items():
        if any(node.IsA(c) for c in classes):
            return kind
    raise RegistrationError(
        f"{name_of(node)} is a {node.GetNodeTagName()}: choose a volume, a segmentation, a model or a list of points."
    )


def check(node: Any) -> Kind:
    """The kind of a node, or `RegistrationError` where it holds nothing or cannot be taken where it is seen. Quick."""
    kind = kind_of(node)
    if kind in ("volume", "labels"):
        _check_volume(node)
    elif kind == "segmentation" and not node.GetSegmentation().GetNumberOfSegments():
        raise RegistrationError(f"{name_of(node)} has no segments: draw or import one.")
    elif kind == "model":
        mesh = node.GetMesh()
        if mesh is None or not mesh.GetNumberOfPoints():
            raise RegistrationError(f"{name_of(node)} is an empty model: choose one that has points.")
    elif kind == "markups" and not defined_points(node):
        raise RegistrationError(f"{name_of(node)} has no placed control points: place some.")
    parent = node.GetParentTransformNode()
    if kind in VOXELS and parent is not None and not parent.IsTransformToWorldLinear():
        raise RegistrationError(
            f"{name_of(node)} is under the non-linear transform {name_of(parent)}, so its voxels lie on no grid where "
            "they are seen: harden the transform on it in the Transforms module, or take it out of the transform."
        )
    return kind


def _check_volume(node: Any) -> None:
    image = node.GetImageData()
    if image is None or not image.GetNumberOfPoints() or image.GetPointData().GetScalars() is None:
        raise RegistrationError(f"{name_of(node)} holds no voxels: load it again or choose another volume.")
    affine = arrays.ijk_to_ras(node)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise RegistrationError(f"{name_of(node)} has a singular geometry: repair its spacing and directions.")


def note(node: Any) -> str:
    """A sentence to show when a node is taken where it is seen rather than where its own coordinates are, else ""."""
    parent = node.GetParentTransformNode()
    if parent is None or (parent.IsTransformToWorldLinear() and np.allclose(world_matrix(node), np.eye(4))):
        return ""
    return f"{name_of(node)} is under the transform {name_of(parent)} and is taken where it is seen."


def world_matrix(node: Any) -> np.ndarray:
    """(4, 4) float64 from a node's own coordinates to the world, RAS mm; its parents must be linear."""
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node.GetParentTransformNode(), None, matrix)
    return arrays.matrix_to_array(matrix)


def to_world(node: Any) -> vtk.vtkGeneralTransform:
    """From a node's own coordinates to the world, through parents of any kind."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, transform)
    return transform


def seen_volume(node: Any) -> Any:
    """A volume of the same class outside the scene, with the geometry as seen; it shares the voxels."""
    check(node)
    node_class = slicer.vtkMRMLLabelMapVolumeNode if kind_of(node) == "labels" else slicer.vtkMRMLScalarVolumeNode
    return arrays.volume_node(
        node_class, node.GetName(), node.GetImageData(), world_matrix(node) @ arrays.ijk_to_ras(node)
    )


def seen_mesh(node: Any) -> vtk.vtkPolyData:
    """The surface of a model as seen, RAS mm; of a volumetric mesh its outside."""
    check(node)
    mesh = node.GetMesh()
    if not mesh.IsA("vtkPolyData"):
        outside = vtk.vtkDataSetSurfaceFilter()
        outside.SetInputData(mesh)
        outside.Update()
        mesh = outside.GetOutput()
    return moved_mesh(mesh, to_world(node))


def moved_mesh(mesh: vtk.vtkPolyData, transform: vtk.vtkAbstractTransform) -> vtk.vtkPolyData:
    """A copy with its points moved; normals are turned along."""
    move = vtk.vtkTransformPolyDataFilter()
    move.SetTransform(transform)
    move.SetInputData(mesh)
    move.Update()
    result = vtk.vtkPolyData()
    result.DeepCopy(move.GetOutput())
    return result


def seen_points(node: Any) -> Points:
    """The placed control points of markups, or the vertices of a model, as seen."""
    if check(node) == "model":
        return Points(arrays.from_vtk_points(seen_mesh(node).GetPoints()))
    index = defined_points(node)
    positions = np.zeros((len(index), 3))
    for row, n in zip(positions, index):
        node.GetNthControlPointPositionWorld(n, row)
    return Points(positions, tuple(node.GetNthControlPointLabel(n) for n in index))


def defined_points(markups: Any) -> list[int]:
    """The indices of the control points that have been placed."""
    defined = slicer.vtkMRMLMarkupsNode.PositionDefined
    count = markups.GetNumberOfControlPoints()
    return [n for n in range(count) if markups.GetNthControlPointPositionStatus(n) == defined]
