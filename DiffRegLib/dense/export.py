"""What the recipe found as transforms that fold nowhere."""

from __future__ import annotations

from collections.abc import Iterator

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
    if torch.equal(placement.matrix.cpu(), Affine.identity().matrix):
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
    """Fixed-point steps where they bring inverse(y) closer to what the field carries to y, else Newton's; in place."""
    for k, y in _slabs(inverse):
        slab = inverse.data[:, k]
        back = y + slab.flatten(1).T
        left = field(back) - y
        for _ in range(POLISHED):
            closer = back - left
            further = field(closer) - y
            better = (further.norm(dim=1) < left.norm(dim=1))[:, None]
            back, left = torch.where(better, closer, back), torch.where(better, further, left)
        open_ = (left.norm(dim=1) > TOLERANCE) & lattice.contains(back)
        if open_.any():
            back[open_] = invert_points(field, y[open_], back[open_], TOLERANCE)
        slab.copy_((back - y).T.reshape(slab.shape))
    return inverse


def _residual(field: DisplacementField, inverse: DisplacementField, lattice: Geometry) -> float:
    """The largest |field(inverse(y)) - y| in mm over the voxel centers y of the inverse that come from `lattice`."""
    largest = 0.0
    for k, y in _slabs(inverse.image):
        back = y + inverse.image.data[:, k].flatten(1).T
        kept = lattice.contains(back)
        if kept.any():
            largest = max(largest, float((field(back[kept]) - y[kept]).norm(dim=1).max()))
    return largest


def _slabs(image: Image) -> Iterator[tuple[slice, Tensor]]:
    """Some slices at a time, and their voxel centers (N, 3) RAS mm, to bound the memory."""
    depth, height, width = image.shape
    at_once = max(1, CHUNK // (height * width))
    for first in range(0, depth, at_once):
        part = slice(first, min(first + at_once, depth))
        affine = image.affine.clone()
        affine[:3, 3] += first * affine[:3, 2]
        yield part, Geometry((part.stop - first, height, width), affine).grid(image.device).reshape(-1, 3)


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
