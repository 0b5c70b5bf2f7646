"""Transform nodes: what one does to points, its parts, and nodes made from parts.

A registration maps points of the fixed image to the moving image. That is what a transform node calls *from parent*: a
moving volume put under the node appears at the fixed one, because Slicer looks up each place of the world through it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import slicer
import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import name_of

MOST_SAMPLES = 200_000
"""Grid points on which a transform without a closed form is sampled."""
FINEST_SPACING = 2.0
"""mm between these points where the place is small."""


@dataclasses.dataclass(frozen=True)
class Linear:
    """x -> A x + t, (4, 4) float64 in RAS mm."""

    matrix: np.ndarray


@dataclasses.dataclass(frozen=True)
class Grid:
    """x -> x + u(x); (3, D, H, W) mm along R, A, S on a grid with `affine` (4, 4), or cubic B-spline coefficients."""

    vectors: np.ndarray
    affine: np.ndarray
    is_bspline: bool = False


Part = Linear | Grid


def from_world(node: Any) -> vtk.vtkGeneralTransform:
    """What a transform node and its parents do to a point of the world: the *from parent* of the whole chain."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, node, transform)
    return transform


def parts_of(node: Any, region: tuple[np.ndarray, np.ndarray] | None = None) -> list[Part]:
    """What maps a point of the world through the node: its parts, the one that is applied first at the front.

    Matrices, displacement grids and B-splines that are stored in that direction come without loss. Anything else (the
    inverse of a grid, a thin plate spline) is sampled as a whole on a grid over `region`, the lowest and the highest
    corner in RAS mm; without a region that raises `RegistrationError`.
    """
    whole = from_world(node)
    if node.IsTransformToWorldLinear():
        return [Linear(_matrix(whole))]
    flat = vtk.vtkCollection()
    slicer.vtkMRMLTransformNode.FlattenGeneralTransform(flat, whole)
    parts = [_part(flat.GetItemAsObject(n)) for n in range(flat.GetNumberOfItems())]
    if all(part is not None for part in parts):
        return parts
    if region is None:
        raise RegistrationError(
            f"{name_of(node)} has no closed form in this direction: choose the fixed image too, on which to sample it."
        )
    return [sampled(whole, *region)]


def transform_node(parts: list[Part], name: str) -> Any:
    """A transform node outside the scene whose *from parent* applies the parts in their order.

    A vtkMRMLLinearTransformNode where all are linear, else a vtkMRMLTransformNode.
    """
    if all(isinstance(part, Linear) for part in parts):
        matrix = np.eye(4)
        for part in parts:
            matrix = part.matrix @ matrix
        return linear_node(matrix, name)
    pieces = [_vtk_transform(part) for part in parts]
    whole = pieces[0]
    if len(pieces) > 1:
        whole = vtk.vtkGeneralTransform()
        whole.PostMultiply()
        for piece in pieces:
            whole.Concatenate(piece)
    node = slicer.vtkMRMLTransformNode()
    node.SetName(name)
    node.SetAndObserveTransformFromParent(whole)
    return node


def linear_node(matrix: np.ndarray, name: str) -> Any:
    """A linear transform node outside the scene; `matrix` (4, 4) maps from the parent, RAS mm."""
    node = slicer.vtkMRMLLinearTransformNode()
    node.SetName(name)
    node.SetMatrixTransformFromParent(arrays.array_to_matrix(matrix))
    return node


def seen_transform(node: Any, region: tuple[np.ndarray, np.ndarray] | None = None) -> Any:
    """A transform node outside the scene that does what the node and its parents do; see `parts_of`."""
    return transform_node(parts_of(node, region), node.GetName())


def interpolate_linearly(node: Any) -> None:
    """Makes displacement grids linear between their nodes, as the library's are; Slicer reads them as cubic."""
    for grid in _flat(node.GetTransformFromParent()):
        if grid.IsA("vtkGridTransform"):
            grid.SetInterpolationModeToLinear()


def sampled(transform: vtk.vtkAbstractTransform, low: np.ndarray, high: np.ndarray) -> Grid:
    """A transform as displacements on an axis-aligned grid over a box, RAS mm, as fine as `MOST_SAMPLES` allows."""
    extent = np.maximum(np.asarray(high) - low, 1e-3)
    spacing = max(FINEST_SPACING, float(np.prod(extent + 1) / MOST_SAMPLES) ** (1 / 3))
    size = np.ceil(extent / spacing).astype(int) + 1
    k, j, i = np.meshgrid(*[np.arange(n) for n in size[::-1]], indexing="ij")
    points = np.stack((i, j, k), -1).reshape(-1, 3) * spacing + low
    shift = arrays.map_points(transform, points) - points
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    return Grid(np.moveaxis(shift.reshape(*size[::-1], 3), -1, 0).astype(np.float32), affine)


def _flat(transform: Any) -> list[Any]:
    flat = vtk.vtkCollection()
    slicer.vtkMRMLTransformNode.FlattenGeneralTransform(flat, transform)
    return [flat.GetItemAsObject(n) for n in range(flat.GetNumberOfItems())]


def _matrix(transform: vtk.vtkAbstractTransform) -> np.ndarray:
    """(4, 4) of a transform that is linear: from what it does to the origin and the axes' ends."""
    corners = arrays.map_points(transform, np.vstack((np.zeros(3), np.eye(3))))
    matrix = np.eye(4)
    matrix[:3, 3] = corners[0]
    matrix[:3, :3] = (corners[1:] - corners[0]).T
    return matrix


def _part(transform: Any) -> Part | None:
    """A VTK transform as a part, or None where it has no closed form here."""
    transform.Update()
    if transform.IsA("vtkLinearTransform"):
        return Linear(arrays.matrix_to_array(transform.GetMatrix()))
    if transform.IsA("vtkGridTransform") and not transform.GetInverseFlag():
        vectors = transform.GetDisplacementGrid()
        scale, shift = transform.GetDisplacementScale(), transform.GetDisplacementShift()
        return Grid(arrays.voxels(vectors) * scale + shift, _grid_affine(transform, vectors))
    if transform.IsA("vtkBSplineTransform") and not transform.GetInverseFlag():
        bulk = transform.GetBulkTransformMatrix() if transform.IsA("vtkOrientedBSplineTransform") else None
        if bulk is None or bulk.IsIdentity():
            vectors = transform.GetCoefficientData()
            data = arrays.voxels(vectors) * transform.GetDisplacementScale()
            return Grid(data, _grid_affine(transform, vectors), is_bspline=True)
    return None


def _grid_affine(transform: Any, image: vtk.vtkImageData) -> np.ndarray:
    direction = getattr(transform, "GetGridDirectionMatrix", lambda: None)()
    affine = np.eye(4) if direction is None else arrays.matrix_to_array(direction)
    affine[:3, :3] *= image.GetSpacing()
    affine[:3, 3] = np.array(image.GetOrigin()) + affine[:3, :3] @ image.GetExtent()[::2]
    return affine


def _vtk_transform(part: Part) -> Any:
    if isinstance(part, Linear):
        linear = vtk.vtkTransform()
        linear.SetMatrix(arrays.array_to_matrix(part.matrix))
        return linear
    image = arrays.image_data(part.vectors)
    spacing = np.linalg.norm(part.affine[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetOrigin(part.affine[:3, 3])
    direction = np.eye(4)
    direction[:3, :3] = part.affine[:3, :3] / spacing
    if part.is_bspline:
        result = slicer.vtkOrientedBSplineTransform()
        result.SetBorderModeToZero()
        result.SetCoefficientData(image)
    else:
        result = slicer.vtkOrientedGridTransform()
        result.SetInterpolationModeToLinear()
        result.SetDisplacementGridData(image)
    result.SetGridDirectionMatrix(arrays.array_to_matrix(direction))
    return result
