"""Transforms map fixed to moving in RAS mm: composition, inversion, flow, Jacobian."""

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Geometry, Image
from DiffRegLib.transforms import (
    Affine,
    BSpline,
    DisplacementField,
    VelocityField,
    fit_affine,
    fit_rigid,
    rigid,
    rigid_parameters,
)
from Testing.library.geometry import oblique_geometry, smooth_field

ANGLES = torch.tensor([12.0, -25.0, 8.0], dtype=torch.float64)
SHIFT = torch.tensor([10.0, -30.0, 15.0], dtype=torch.float64)


def _points(geometry, n=200, inner=0.3):
    unit = inner + (1 - 2 * inner) * torch.rand(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return geometry.to_world(unit * (geometry.size - 1))


def test_rigid_has_the_published_matrix_of_the_shared_data():
    center = torch.tensor([3.543670654296875, 129.81900024414062, 212.8017578125], dtype=torch.float64)
    expected = torch.tensor(
        [
            [0.897488, -0.223144, -0.380424, 120.286562],
            [0.126134, 0.9564, -0.26342, 31.26945],
            [0.422618, 0.188432, 0.886503, 13.192735],
        ],
        dtype=torch.float64,
    )
    assert torch.allclose(rigid(ANGLES, SHIFT, center).matrix[:3], expected, atol=1e-6)


@pytest.mark.parametrize("angles", [(12.0, -25.0, 8.0), (170.0, 40.0, -120.0), (30.0, 90.0, 0.0)])
def test_rigid_parameters_are_recovered(angles):
    center = torch.tensor([5.0, -7.0, 9.0], dtype=torch.float64)
    transform = rigid(torch.tensor(angles, dtype=torch.float64), SHIFT, center)
    found, translation = rigid_parameters(transform, center)
    assert torch.allclose(rigid(found, translation, center).matrix, transform.matrix, atol=1e-6)
    assert torch.allclose(translation, SHIFT, atol=1e-9)


def test_composition_applies_the_right_factor_first():
    stretch, turn = Affine(torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0]))), rigid((0, 0, 90), (0, 0, 0))
    x = torch.tensor([[1.0, 0.0, 0.0]])
    assert torch.allclose((turn @ stretch)(x), torch.tensor([[0.0, 2.0, 0.0]]), atol=1e-6)
    assert torch.allclose((stretch @ turn)(x), torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-6)


def test_a_composite_and_its_inverse_cancel():
    geometry = oblique_geometry()
    transform = rigid(ANGLES, SHIFT, geometry.center) @ DisplacementField(smooth_field(geometry))
    inverse = transform.inverse()
    x = _points(geometry)
    assert (inverse(transform(x)) - x).norm(dim=-1).max() < inverse.residual + 0.02
    assert 0 < inverse.residual < 0.2


def test_the_inverse_of_a_strong_field_is_found_where_fixed_points_diverge():
    geometry = Geometry((9, 9, 61), torch.diag(torch.tensor([1.0, 8.0, 8.0, 1.0])))
    x = geometry.grid()[..., 0]
    field = torch.zeros(3, *geometry.shape)
    field[0] = 8 * torch.sin(2 * torch.pi * x / 60)  # slope 0.84: compressed to 0.16 at the middle, no folding
    transform = DisplacementField(Image(field, geometry.affine))
    inverse = transform.inverse()
    y = transform(
        geometry.to_world(torch.rand(300, 3) * torch.tensor([50.0, 8.0, 8.0]) + torch.tensor([5.0, 0.0, 0.0]))
    )
    assert (transform(inverse(y)) - y).norm(dim=-1).max() < 1.5 * inverse.residual
    nodes = inverse.image.grid().reshape(-1, 3)
    inside = geometry.contains(inverse(nodes))
    assert (transform(inverse(nodes)) - nodes)[inside].norm(dim=-1).max() < 2e-3


def test_a_velocity_field_flows_along_circles_and_back():
    """The flow of a rotation field turns by the angular velocity: a closed form to compare with."""
    geometry = Geometry.around(torch.tensor([[-50.0] * 3, [50.0] * 3]), 4.0)
    omega = 0.6
    x, y, _ = geometry.grid().unbind(-1)
    velocity = VelocityField(Image(torch.stack((-omega * y, omega * x, torch.zeros_like(x))), geometry.affine))
    turn = rigid((0, 0, torch.rad2deg(torch.tensor(omega))), (0, 0, 0))
    points = torch.rand(100, 3, dtype=torch.float64) * 40 - 20
    assert (velocity(points) - turn(points)).norm(dim=-1).max() < 1e-3
    assert (velocity.inverse()(velocity(points)) - points).norm(dim=-1).max() < 1e-3
    assert (velocity.exponentiate(8)(points) - turn(points)).norm(dim=-1).max() < 0.05


def test_a_bspline_reproduces_linear_displacements_exactly():
    """Cubic B-splines sum to one and reproduce first-degree polynomials from their values at the control points."""
    control = oblique_geometry((8, 9, 10), (12.0, 11.0, 10.0))
    matrix = torch.tensor([[0.02, -0.03, 0.01], [0.05, 0.01, 0.0], [-0.02, 0.04, 0.03]])
    coefficients = (control.grid() @ matrix.T + torch.tensor([1.0, -2.0, 3.0])).movedim(-1, 0)
    spline = BSpline(Image(coefficients.contiguous(), control.affine))
    x = _points(control).float()
    assert torch.allclose(spline(x) - x, x @ matrix.T + torch.tensor([1.0, -2.0, 3.0]), atol=1e-3)


def test_jacobian_determinant_of_an_affine_displacement_is_its_determinant():
    geometry = oblique_geometry()
    affine = Affine(torch.tensor([[1.1, 0.1, 0, 3], [0, 0.9, 0.2, 1], [0.1, 0, 1.2, -4], [0, 0, 0, 1]]))
    det = affine.displacement(geometry).jacobian_determinant(geometry).data
    assert torch.allclose(det, torch.full_like(det, float(torch.linalg.det(affine.matrix[:3, :3]))), atol=1e-3)


def test_a_fold_has_a_negative_determinant():
    geometry = Geometry((6, 6, 30), torch.eye(4))
    field = torch.zeros(3, *geometry.shape)
    field[0] = -1.5 * geometry.grid()[..., 0]
    det = DisplacementField(Image(field, geometry.affine)).jacobian_determinant(geometry).data
    assert torch.allclose(det, torch.full_like(det, -0.5), atol=1e-5)


def test_gradients_reach_points_and_parameters():
    geometry = oblique_geometry((6, 6, 6))
    points = _points(geometry, 20).float().requires_grad_()
    field = smooth_field(geometry)
    data = field.data.requires_grad_()
    for transform in (
        DisplacementField(Image(data, field.affine)),
        VelocityField(Image(data, field.affine)),
        BSpline(Image(data, field.affine)),
        VelocityField(Image(data, field.affine)).exponentiate(3),
    ):
        by_data, by_points = torch.autograd.grad(transform(points).square().sum(), (data, points))
        assert by_data.abs().max() > 0 and by_points.abs().max() > 0


def test_paired_points_give_the_transform_that_moved_them():
    source = torch.randn(20, 3, dtype=torch.float64) * 40
    motion = rigid(ANGLES, SHIFT)
    assert torch.allclose(fit_rigid(source, motion(source)).matrix, motion.matrix, atol=1e-9)
    affine = Affine(motion.matrix @ torch.diag(torch.tensor([1.2, 0.8, 1.1, 1.0], dtype=torch.float64)))
    assert torch.allclose(fit_affine(source, affine(source)).matrix, affine.matrix, atol=1e-9)


def test_fit_rigid_never_reflects():
    source = torch.randn(10, 3, dtype=torch.float64)
    mirrored = source * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert torch.linalg.det(fit_rigid(source, mirrored).matrix[:3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize("fit", [fit_rigid, fit_affine])
def test_degenerate_pairs_are_refused(fit):
    line = torch.arange(6.0)[:, None] * torch.ones(3)
    with pytest.raises(RegistrationError):
        fit(line, line)
    with pytest.raises(RegistrationError, match="too few"):
        fit(line[:2], line[:2])


def test_a_singular_matrix_is_refused():
    with pytest.raises(RegistrationError, match="singular"):
        Affine(torch.diag(torch.tensor([1.0, 0.0, 1.0, 1.0])))
