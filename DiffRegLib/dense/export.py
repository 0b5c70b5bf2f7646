"""What the recipe found as transforms that fold nowhere."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.dense.flow import flow
from DiffRegLib.dense.lattice import coarsened, smooth
from DiffRegLib.dense.recipe import Alignment
from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.transforms import Affine, DisplacementField, Transform
from DiffRegLib.transforms.base import CHUNK
from DiffRegLib.transforms.folds import least_determinant, unfolded
from DiffRegLib.transforms.invert import invert_points

POLISHED = 3
"""Fixed-point steps that bring the backward flow onto the inverse of the field as it is interpolated."""
TOLERANCE = 0.02
"""mm; where they leave more, Newton steps follow."""


@torch.no_grad()
def transforms(alignment: Alignment, fixed: Lattice, voxel: float) -> tuple[Transform, Transform, float]:
    """Transform, inverse, and the largest |transform(inverse(y)) - y| in mm, for the grid of the fixed image.

    A flow cannot fold; what its sampling with voxels of `voxel` mm (not below the image's own) brings in is smoothed
    away. Raises `RegistrationError` where that fails.
    """
    lattice, placement = coarsened(fixed, voxel), alignment.placement
    forward = _flowed(alignment, lattice, 0.0)
    field = _without_folds(forward)
    reach = float(forward.data.norm(dim=0).max())
    inverse = _without_folds(_polished(field, _flowed(alignment, _widened(lattice, reach), reach, -1.0), lattice))
    residual = _residual(field, inverse, lattice)
    if torch.equal(placement.matrix, Affine.identity().matrix):
        return field, inverse, residual
    return placement @ field, inverse @ placement.inverse(), residual


def _flowed(alignment: Alignment, lattice: Geometry, reach: float, sign: float = 1.0) -> Image:
    """Displacements (3, D, H, W) of the flow, followed from the nodes of the splines and `reach` mm around them."""
    nodes, velocity = alignment.splines.nodes, alignment.velocity
    wide = _widened(nodes, reach)
    points = wide.grid(velocity.device).reshape(-1, 3)
    motion = (flow(velocity, nodes, points, sign) - points).T.unflatten(1, wide.shape)
    return Image(filter_axes(motion, smooth(lattice, wide, motion)), lattice.affine)


def _polished(field: DisplacementField, inverse: Image, lattice: Geometry) -> Image:
    """Fixed-point steps where they bring inverse(y) closer to what the field carries to y, else Newton's."""
    left = _left(field, inverse)
    for _ in range(POLISHED):
        closer = Image(inverse.data - left, inverse.affine)
        further = _left(field, closer)
        better = further.norm(dim=0) < left.norm(dim=0)
        inverse = Image(torch.where(better, closer.data, inverse.data), inverse.affine)
        left = torch.where(better, further, left)
    points = inverse.grid(inverse.device)
    back = points + inverse.data.movedim(0, -1)
    open_ = (left.norm(dim=0) > TOLERANCE) & lattice.contains(back)
    if open_.any():
        solved = invert_points(field, points[open_], back[open_], TOLERANCE)
        inverse.data[:, open_] = (solved - points[open_]).T
    return inverse


def _residual(field: DisplacementField, inverse: DisplacementField, lattice: Geometry) -> float:
    left = _left(field, inverse.image).norm(dim=0)
    kept = lattice.contains(inverse.map_grid(inverse.image, left.device))
    return float(left[kept].max()) if kept.any() else 0.0


def _left(field: DisplacementField, inverse: Image) -> Tensor:
    """field(inverse(y)) - y (3, D, H, W) mm at the voxel centers y of the inverse."""
    points = inverse.grid(inverse.device).reshape(-1, 3)
    back = points + inverse.data.flatten(1).T
    parts = [field(x) - y for x, y in zip(back.split(CHUNK), points.split(CHUNK))]
    return torch.cat(parts).T.reshape(inverse.data.shape)


def _without_folds(field: Image) -> DisplacementField:
    field = unfolded(field)
    if float(least_determinant(field).min()) <= 0:
        raise RegistrationError(
            "The deformation folds even where it is smoothed: raise its {stiffness}.", option="stiffness"
        )
    return DisplacementField(field)


def _widened(lattice: Geometry, reach: float) -> Geometry:
    """The grid with as many voxels more on every side as `reach` mm take."""
    border = torch.ceil(reach / lattice.spacing)
    affine = lattice.affine.clone()
    affine[:3, 3] = lattice.to_world(-border)
    return Geometry(tuple(int(n) for n in (lattice.size + 2 * border).flip(0)), affine)
