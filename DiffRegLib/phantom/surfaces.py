"""Triangle meshes whose vertices lie on an analytic solid, to a thousandth of a millimeter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.phantom.anatomy import BOX, Tissue
from DiffRegLib.phantom.shapes import CHUNK


@dataclasses.dataclass(frozen=True, eq=False)
class Surface:
    """`vertices` (N, 3) float64 RAS mm and `faces` (M, 3) int64, closed, normals outwards."""

    vertices: Tensor
    faces: Tensor

    def moved(self, transform: Callable[[Tensor], Tensor]) -> Surface:
        return Surface(transform(self.vertices), self.faces)

    def polydata(self) -> Any:
        """As a vtkPolyData, RAS mm."""
        import vtk
        from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

        points = vtk.vtkPoints()
        points.SetData(numpy_to_vtk(self.vertices.float().numpy(), deep=True))
        offsets = torch.arange(0, 3 * len(self.faces) + 1, 3)
        cells = vtk.vtkCellArray()
        cells.SetData(*(numpy_to_vtkIdTypeArray(ids.numpy(), deep=True) for ids in (offsets, self.faces.flatten())))
        mesh = vtk.vtkPolyData()
        mesh.SetPoints(points)
        mesh.SetPolys(cells)
        return mesh

    @property
    def volume(self) -> float:
        """Enclosed volume in mm^3 by the divergence theorem."""
        a, b, c = self.vertices[self.faces].unbind(1)
        return float((a * torch.linalg.cross(b, c)).sum() / 6)


def extract_surface(organ: Tissue, spacing: float) -> Surface:
    """The skin of an organ as a mesh with edges of about `spacing` mm."""
    from skimage.measure import marching_cubes

    low, high = torch.tensor(organ.box), torch.tensor(BOX)
    box = torch.stack((torch.maximum(low[0], high[0]), torch.minimum(low[1], high[1])))
    geometry = Geometry.around(box, spacing, margin=4 * spacing)
    values = torch.cat([organ.solid(p, spacing) for p in geometry.grid().reshape(-1, 3).split(CHUNK)])
    vertices, faces, _, _ = marching_cubes(values.reshape(geometry.shape).numpy(), 0.0, gradient_direction="ascent")
    kji = torch.tensor(vertices.copy(), dtype=torch.float64)
    faces = torch.tensor(faces.copy(), dtype=torch.int64)
    chunks = geometry.to_world(kji.flip(-1)).split(CHUNK)
    exact = torch.cat([_pulled_onto(lambda p: organ.solid(p, spacing), chunk) for chunk in chunks])
    surface = Surface(exact, faces)
    return surface if surface.volume > 0 else Surface(surface.vertices, faces.flip(-1))


def write_surface(surface: Surface, path: str | Path) -> None:
    """Writes `.vtp`, `.vtk`, `.ply` or `.stl`, as 3D Slicer reads them."""
    from DiffRegLib.files import write_polydata

    write_polydata(surface.polydata(), path)


def _pulled_onto(solid: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Newton's steps along the gradient of the solid, at most 1 mm each."""
    for _ in range(6):
        points = points.detach().requires_grad_()
        value = solid(points)
        (gradient,) = torch.autograd.grad(value.sum(), points)
        step = (value / (gradient * gradient).sum(-1).clamp(min=1e-3)).clamp(-1, 1)
        points = points - (step[:, None] * gradient).clamp(-1, 1)
    return points.detach()
