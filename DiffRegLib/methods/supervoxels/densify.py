"""From the displacements of key points to a transform of all space that does not fold."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.transforms import DisplacementField

NODES = 8.0  # mm between the nodes of the field; key points of 2048 in a trunk lie some 15 mm apart
SMOOTHEST = 12  # times that the smoothing is raised, each time by 4: at the end the field is affine
LEAST = 0.05  # smallest Jacobian determinant: room for what sampling on another grid does to it


def densified(points: Tensor, displacements: Tensor, grid: Lattice, smoothing: float = 1.0) -> DisplacementField:
    """The thin plate through displacements (N, 3) in mm of points (N, 3) RAS mm, smoothed until it folds nowhere.

    grid: whose box the field fills. The Jacobian determinant is positive in every cell of the field, by the least of
    its eight corners. Raises RegistrationError where even an affine map of the points mirrors.
    """
    nodes = Geometry(grid.shape, grid.affine).resized(NODES)
    for raised in range(SMOOTHEST):
        field = _thin_plate(points, displacements, nodes, smoothing * 4**raised)
        if least_determinant(field, nodes) > LEAST:
            return DisplacementField(Image(field, nodes.affine))
    raise RegistrationError("The supervoxels of the two scans contradict each other: give scans of one region.")


def _thin_plate(points: Tensor, displacements: Tensor, nodes: Geometry, smoothing: float) -> Tensor:
    from scipy.interpolate import RBFInterpolator

    plate = RBFInterpolator(
        points.double().cpu().numpy(), displacements.double().cpu().numpy(), smoothing=smoothing, kernel="linear"
    )
    at = nodes.grid().reshape(-1, 3).double().numpy()
    values = np.concatenate([plate(part) for part in np.array_split(at, max(1, len(at) // 20000))])
    return torch.from_numpy(values).float().reshape(*nodes.shape, 3).movedim(-1, 0).contiguous()


def least_determinant(field: Tensor, grid: Lattice) -> float:
    """The least Jacobian determinant of x + u(x) over the corners of all cells, u (3, D, H, W) linear in each.

    In a cell the derivatives along an axis are those of its edges; the determinant is taken for the three edges that
    meet in each of its eight corners.
    """
    inverse = torch.linalg.inv(grid.affine[:3, :3]).to(field)
    edges = [field.diff(dim=axis) for axis in (3, 2, 1)]
    least = float("inf")
    for k in (0, 1):
        for j in (0, 1):
            for i in (0, 1):
                along_i = edges[0][:, _end(k), _end(j), :]
                along_j = edges[1][:, _end(k), :, _end(i)]
                along_k = edges[2][:, :, _end(j), _end(i)]
                steps = torch.stack((along_i, along_j, along_k), -1).movedim(0, -2)
                determinant = torch.linalg.det(steps @ inverse + torch.eye(3).to(field))
                least = min(least, float(determinant.min()))
    return least


def _end(upper: int) -> slice:
    return slice(1, None) if upper else slice(None, -1)
