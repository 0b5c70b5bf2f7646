"""Folds of a displacement field: found at the corners of its cells, on any grid, and smoothed away."""

import pytest
import torch

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms import Affine, DisplacementField
from DiffRegLib.transforms.folds import least_determinant, unfolded
from Testing.library.geometry import oblique_geometry


def grid(spacing, n=12):
    return Geometry((n, n, n), torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64)))


def test_a_field_that_would_fold_is_smoothed_until_it_does_not():
    field = torch.zeros(3, 12, 12, 12)
    field[0, 4:8, 4:8, 6:] = -9.0  # at 4 mm spacing this turns space inside out
    folded = Image(field, grid(4.0).affine)
    assert least_determinant(folded).min() < 0
    repaired = unfolded(folded)
    assert least_determinant(repaired).min() >= 0.05
    assert torch.equal(repaired.data[:, 0], field[:, 0])
    finer = grid(4.0).resized(1.3)
    assert DisplacementField(repaired).jacobian_determinant(finer).data.min() > 0


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_linear_map_has_its_determinant_everywhere_on_an_oblique_grid(mirrored):
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.tensor([[1.2, 0.1, 0.0], [-0.2, 0.9, 0.1], [0.05, 0.0, 1.1]])
    geometry = oblique_geometry()
    if mirrored:
        affine = geometry.affine.clone()
        affine[:3, 0] *= -1
        geometry = Geometry(geometry.shape, affine)
    field = Affine(matrix).displacement(geometry).image
    expected = float(torch.linalg.det(matrix[:3, :3]))
    found = least_determinant(field)[1:-1, 1:-1, 1:-1]
    torch.testing.assert_close(found, torch.full_like(found, expected), atol=1e-3, rtol=0)
