"""Meshes and mere points as vtkPolyData, and their arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def vertices(polydata: Any) -> np.ndarray:
    """(N, 3) float64: the points of a vtkPolyData."""
    from vtk.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(polydata.GetPoints().GetData()).astype(np.float64).reshape(-1, 3)


def triangles(polydata: Any) -> np.ndarray:
    """(M, 3) int64: vertex indices of the surface, polygons and strips cut into triangles; M = 0 for mere points."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    cutter = vtk.vtkTriangleFilter()
    cutter.SetInputData(polydata)
    cutter.PassVertsOff()
    cutter.PassLinesOff()
    cutter.Update()
    cells = cutter.GetOutput().GetPolys()
    if cells.GetNumberOfCells() == 0:
        return np.zeros((0, 3), dtype=np.int64)
    return vtk_to_numpy(cells.GetConnectivityArray()).astype(np.int64).reshape(-1, 3)


def with_vertices(polydata: Any, points: np.ndarray) -> Any:
    """The same mesh with its points (N, 3) moved; stored normals are dropped, since they no longer hold."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    moved = vtk.vtkPolyData()
    moved.DeepCopy(polydata)
    array = vtk.vtkPoints()
    array.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=True))
    moved.SetPoints(array)
    moved.GetPointData().SetNormals(None)
    moved.GetCellData().SetNormals(None)
    return moved


def from_points(points: np.ndarray, arrays: dict[str, np.ndarray]) -> Any:
    """A vtkPolyData of mere points (N, 3), each a vertex cell, with named (N,) point arrays."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

    result = vtk.vtkPolyData()
    places = vtk.vtkPoints()
    places.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float32), deep=True))
    result.SetPoints(places)
    cells = vtk.vtkCellArray()
    offsets = np.arange(len(points) + 1, dtype=np.int64)
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(offsets[:-1].copy(), deep=True))
    result.SetVerts(cells)
    for name, values in arrays.items():
        array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        array.SetName(name)
        result.GetPointData().AddArray(array)
    return result


def point_array(polydata: Any, name: str) -> np.ndarray | None:
    """The (N,) float64 point array of that name, or None."""
    from vtk.util.numpy_support import vtk_to_numpy

    array = polydata.GetPointData().GetArray(name)
    if array is None or array.GetNumberOfComponents() != 1:
        return None
    return vtk_to_numpy(array).astype(np.float64)
