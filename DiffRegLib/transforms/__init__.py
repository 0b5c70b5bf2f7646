"""Transforms: each maps points of the fixed image to the moving image, (..., 3) in RAS mm."""

from DiffRegLib.transforms.base import Composite, DisplacementField, Transform
from DiffRegLib.transforms.fit import fit_affine, fit_rigid
from DiffRegLib.transforms.grids import BSpline, VelocityField
from DiffRegLib.transforms.invert import invert_points
from DiffRegLib.transforms.io import write_transform
from DiffRegLib.transforms.linear import Affine, rigid, rigid_parameters, rotation_matrix

__all__ = [
    "Affine",
    "BSpline",
    "Composite",
    "DisplacementField",
    "Transform",
    "VelocityField",
    "fit_affine",
    "fit_rigid",
    "invert_points",
    "rigid",
    "rigid_parameters",
    "rotation_matrix",
    "write_transform",
]
