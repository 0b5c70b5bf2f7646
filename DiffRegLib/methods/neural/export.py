"""From a field to transforms that every program reads: displacement fields without folds, and their inverse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.features import level_spacing
from DiffRegLib.methods.neural.field import BACKWARD, FORWARD, NeuralField
from DiffRegLib.transforms import DisplacementField, invert_points
from DiffRegLib.transforms.base import CHUNK
from DiffRegLib.transforms.folds import least_determinant, unfolded

NODES = 1_000_000
"""Most nodes of an exported grid."""


@dataclass(frozen=True)
class Exported:
    """Both directions as displacement fields on one grid around the fixed image.

    folded: share of the nodes at which the field folded before it was mended. inconsistency: mean distance in mm of
    back(there(x)) from x, of the two networks alone. residual: largest |there(back(y)) - y| in mm of the fields.
    """

    forward: DisplacementField
    backward: DisplacementField
    folded: float
    inconsistency: float
    residual: float


def export(field: NeuralField, nodes: int = NODES) -> Exported:
    """The field on the fixed image's grid, or on a coarser one of at most `nodes` nodes; folds are smoothed away."""
    geometry = export_grid(field.geometry, nodes)
    forward, backward = (field.transform(direction) for direction in (FORWARD, BACKWARD))
    sampled = forward.displacement(geometry).image
    thick = extruded(sampled)
    folded = float((least_determinant(thick) <= 0).float().mean())
    there = DisplacementField(Image(unfolded(thick).data[:, : geometry.shape[0]].contiguous(), geometry.affine))
    points = geometry.grid().reshape(-1, 3)
    start = torch.cat([backward(chunk) for chunk in points.split(CHUNK)])
    inconsistency = float((backward(forward(points[::STRIDE])) - points[::STRIDE]).norm(dim=1).mean())
    back, residual = invert_from(there, points, start, geometry)
    return Exported(there, back, folded, inconsistency, residual)


STRIDE = 37
"""One of so many nodes tells the inconsistency."""


def export_grid(lattice: Lattice, nodes: int = NODES) -> Geometry:
    """The grid itself, or one over the same box of at most `nodes` nodes."""
    own = Geometry(lattice.shape, lattice.affine)
    if int(own.size.prod()) <= nodes:
        return own
    return own.resized(level_spacing(own, float(own.spacing.min()), nodes))


def extruded(field: Image) -> Image:
    """The field with two slices where it has one: cells in which it can fold."""
    return field if field.shape[0] > 1 else Image(field.data.expand(-1, 2, -1, -1), field.affine)


def invert_from(
    there: DisplacementField, points: Tensor, start: Tensor, geometry: Geometry
) -> tuple[DisplacementField, float]:
    """The inverse at the nodes (N, 3) of a grid, by fixed-point steps from `start` (N, 3), and its residual in mm."""
    pairs = zip(points.split(CHUNK), start.split(CHUNK))
    solved = torch.cat([invert_points(there, y, x) for y, x in pairs])
    inside = geometry.contains(solved)
    residual = float((there(solved[inside]) - points[inside]).norm(dim=1).max()) if inside.any() else 0.0
    field = (solved - points).reshape(*geometry.shape, 3).movedim(-1, 0).contiguous()
    return DisplacementField(Image(field, geometry.affine), residual), residual
