"""From the displacements of key points to a transform of all space that does not fold."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.transforms import DisplacementField
from DiffRegLib.transforms.folds import least_determinant, unfolded

NODES = 8.0  # mm between the nodes of the field; 4096 key points in a trunk lie some 12 mm apart
SMOOTHING = 1.0  # mm; of the thin plate, which weighs the bending against the distance to the displacements found
EVALUATED = 20000  # nodes at a time


def densified(points: Tensor, displacements: Tensor, grid: Lattice) -> DisplacementField:
    """The thin plate through displacements (N, 3) in mm of points (N, 3) RAS mm, mended where it folds.

    grid: whose box the field fills; between its nodes the field is linear, and the Jacobian determinant is positive
    everywhere. Raises RegistrationError where the displacements turn the whole box inside out.
    """
    nodes = Geometry(grid.shape, grid.affine).resized(NODES)
    field = unfolded(Image(_thin_plate(points, displacements, nodes), nodes.affine))
    if float(least_determinant(field).min()) <= 0:
        raise RegistrationError("The supervoxels of the two scans contradict each other: give scans of one region.")
    return DisplacementField(field)


def _thin_plate(points: Tensor, displacements: Tensor, nodes: Geometry) -> Tensor:
    """(3, D, H, W) mm at the nodes; |r| is the fundamental solution of the bending energy in three dimensions."""
    from scipy.interpolate import RBFInterpolator

    plate = RBFInterpolator(
        points.double().cpu().numpy(),
        displacements.double().cpu().numpy(),
        smoothing=SMOOTHING,
        kernel="linear",
        degree=1,
    )
    at = nodes.grid().reshape(-1, 3).double().numpy()
    values = np.concatenate([plate(part) for part in np.array_split(at, -(-len(at) // EVALUATED))])
    return torch.from_numpy(values).float().reshape(*nodes.shape, 3).movedim(-1, 0).contiguous()
