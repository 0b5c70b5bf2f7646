"""numpy arrays of what VTK and MRML hold: voxels, matrices, points."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy


def matrix_to_array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """(4, 4) float64."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def array_to_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=np.float64).ravel())
    return matrix


def voxels(image: vtk.vtkImageData) -> np.ndarray:
    """(C, D, H, W) view of the scalars, in their own type."""
    width, height, depth = image.GetDimensions()
    scalars = vtk_to_numpy(image.GetPointData().GetScalars())
    return np.moveaxis(scalars.reshape(depth, height, width, -1), -1, 0)


def image_data(data: np.ndarray) -> vtk.vtkImageData:
    """A vtkImageData that owns a copy of (C, D, H, W) voxels; spacing 1, origin 0, as MRML wants it."""
    channels, depth, height, width = data.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, depth)
    flat = np.ascontiguousarray(np.moveaxis(data, 0, -1)).reshape(-1, channels)
    scalars = numpy_to_vtk(flat, deep=True, array_type=get_vtk_array_type(flat.dtype))
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def ijk_to_ras(volume: Any) -> np.ndarray:
    """(4, 4) float64 voxel index to RAS mm of a volume node, without its parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix_to_array(matrix)


def volume_node(node_class: type, name: str, image: vtk.vtkImageData, affine: np.ndarray) -> Any:
    """A volume node outside any scene; `affine` (4, 4) maps voxel index to RAS mm."""
    node = node_class()
    node.SetName(name)
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(array_to_matrix(affine))
    return node


def to_vtk_points(points: np.ndarray) -> vtk.vtkPoints:
    """vtkPoints in double precision that own a copy of (N, 3)."""
    result = vtk.vtkPoints()
    result.SetDataTypeToDouble()
    result.SetData(numpy_to_vtk(np.array(points, dtype=np.float64, order="C").reshape(-1, 3), deep=True))
    return result


def from_vtk_points(points: vtk.vtkPoints) -> np.ndarray:
    """(N, 3) float64, a copy."""
    return vtk_to_numpy(points.GetData()).astype(np.float64).reshape(-1, 3)


def map_points(transform: vtk.vtkAbstractTransform, points: np.ndarray) -> np.ndarray:
    """(N, 3) float64: points (N, 3) carried by a VTK transform."""
    if len(points) == 0:
        return np.zeros((0, 3))
    mapped = vtk.vtkPoints()
    mapped.SetDataTypeToDouble()
    transform.Update()
    transform.TransformPoints(to_vtk_points(points), mapped)
    return from_vtk_points(mapped)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps VTK's own error messages from the log where a failure is reported in one sentence instead."""
    shown = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(shown)
