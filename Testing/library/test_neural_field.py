"""The neural field: its derivatives against automatic ones, its hand-written gradients, its file."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.methods.neural.codes import Codes
from DiffRegLib.methods.neural.field import BACKWARD, FORWARD, NeuralField
from DiffRegLib.methods.neural.fused import BlockNetwork
from DiffRegLib.methods.neural.network import ModulatedMLP, Size, with_unit_vectors

SMALL = Size(units=16, layers=2, frequencies=8, global_code=4, local_code=6)
AFFINE = torch.tensor(
    [[0.0, -2.0, 0.0, 30.0], [2.0, 0.0, 0.0, -50.0], [0.0, 0.0, 3.0, 10.0], [0, 0, 0, 1]], dtype=torch.float64
)
BOX = Geometry((8, 10, 12), AFFINE)
"""A grid whose first axis runs along A and whose second runs along -R."""


def made(dimension: int, layers: int = 2) -> tuple[ModulatedMLP, Codes, Tensor]:
    """A network that moves points, codes, and points in and around the box."""
    generator = torch.Generator().manual_seed(1)
    size = Size(16, layers, 8, 1.0, 4, 6)
    network = ModulatedMLP(dimension, size, generator)
    torch.nn.init.normal_(network.last_weight, std=0.05, generator=generator)
    half = torch.tensor([1.0, 0.8, 0.6])[:dimension]
    codes = Codes.drawn((3, 4, 5) if dimension == 3 else (1, 4, 5), (4, 6), half, generator)
    points = (torch.rand(300, dimension, generator=generator) * 2 - 1) * 1.1
    return network, codes, points


def moving_field(size: Size = SMALL) -> NeuralField:
    field = NeuralField(BOX, size, (3, 3, 3), seed=2)
    for network in field.networks:
        torch.nn.init.normal_(network.last_weight, std=0.02, generator=torch.Generator().manual_seed(5))
    return field.eval()


def test_a_new_field_moves_nothing():
    field = NeuralField(BOX, SMALL, (3, 3, 3)).eval()
    points = BOX.grid().reshape(-1, 3)
    for direction in (FORWARD, BACKWARD):
        assert torch.equal(field.transform(direction)(points), points)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_gradients_by_hand_are_those_of_automatic_differentiation(dimension, layers):
    network, codes, points = made(dimension, layers)
    target = torch.rand(points.shape, generator=torch.Generator().manual_seed(3))
    parameters = {**dict(network.named_parameters()), **dict(codes.named_parameters())}
    moved = network(points[None], codes(points[None]), codes.shared)[0]
    wanted = torch.autograd.grad(((moved - target) ** 2).sum(), list(parameters.values()))
    blocks = BlockNetwork(network, codes, block=70)
    blocks.learn(points, lambda at, low, high: 2 * (at - target[low:high]))
    blocks.share()
    for (name, parameter), expected in zip(parameters.items(), wanted):
        assert torch.allclose(parameter.grad, expected, atol=2e-5 * float(expected.abs().max()) + 1e-9), name


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_values_of_blocks_are_those_of_the_network(dimension):
    network, codes, points = made(dimension)
    moved = network(points[None], codes(points[None]), codes.shared)[0]
    assert torch.allclose(BlockNetwork(network, codes, block=64).values(points), moved, atol=2e-6)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_jacobian_in_closed_form_is_the_automatic_one(dimension):
    network, codes, points = made(dimension)
    at = points.clone().requires_grad_()
    moved = network(at[None], codes(at[None]), codes.shared)[0]
    rows = [torch.autograd.grad(moved[:, axis].sum(), at, retain_graph=True)[0] for axis in range(dimension)]
    stack = with_unit_vectors(points)
    derivatives = network(stack, codes(stack), codes.shared)[1:]
    assert torch.allclose(derivatives.permute(1, 2, 0), torch.stack(rows, 1), atol=1e-5)


def test_the_transforms_jacobian_is_that_of_small_steps():
    """Central differences of 0.05 mm in float32: the displacement of some mm is known to about 1e-6 of it."""
    transform = moving_field().transform()
    points = BOX.center + torch.tensor([[0.3, -1.2, 4.1], [5.0, 2.0, -3.3]])
    step = 0.05
    columns = [
        (transform(points + step * unit) - transform(points - step * unit)) / (2 * step)
        for unit in torch.eye(3, dtype=torch.float64)
    ]
    assert torch.allclose(transform.jacobian(points), torch.stack(columns, -1), atol=2e-3)


def test_codes_are_linear_between_their_nodes_and_constant_beyond():
    codes = Codes(torch.zeros(2), torch.zeros(1, 2, 2, 2), torch.tensor([1.0, 0.5, 0.5]))
    codes.local.data[0, :, :, 1] = 4.0
    x = torch.tensor([[-2.0, 0, 0], [-1.0, 0, 0], [0.0, 0.1, -0.2], [0.5, 0, 0], [1.0, 0.5, 0.5], [3.0, 0.7, 0]])
    expected = torch.tensor([0.0, 0.0, 2.0, 3.0, 4.0, 4.0])
    assert torch.allclose(codes(x[None])[0, :, 0], expected, atol=1e-6)
    assert torch.allclose(codes(with_unit_vectors(x))[0, :, 0], expected, atol=1e-6)
    assert torch.allclose(codes(with_unit_vectors(x[2:3]))[1:, 0, 0], torch.tensor([2.0, 0.0, 0.0]), atol=1e-6)


def test_a_flat_image_has_a_field_in_its_plane():
    flat = Geometry((1, 10, 12), AFFINE)
    field = NeuralField(flat, SMALL, (1, 3, 3)).eval()
    torch.nn.init.normal_(field.networks[0].last_weight, generator=torch.Generator().manual_seed(0))
    points = flat.grid().reshape(-1, 3)
    moved = field.transform()(points)
    assert (moved - points).norm(dim=1).min() > 0
    assert torch.allclose(moved[:, 2], points[:, 2])


def test_a_field_comes_back_from_its_file(tmp_path):
    field = moving_field()
    field.save(tmp_path / "field.safetensors")
    again = NeuralField.load(tmp_path / "field.safetensors", BOX).eval()
    points = BOX.grid().reshape(-1, 3)
    assert torch.equal(field.transform(BACKWARD)(points), again.transform(BACKWARD)(points))


def test_a_field_of_another_box_or_dimension_is_refused(tmp_path):
    moving_field().save(tmp_path / "field.safetensors")
    finer = BOX.resized(1.0)
    assert NeuralField.load(tmp_path / "field.safetensors", finer)  # the same box at another resolution
    shifted = AFFINE.clone()
    shifted[0, 3] += 1
    with pytest.raises(RegistrationError, match="another geometry"):
        NeuralField.load(tmp_path / "field.safetensors", Geometry(BOX.shape, shifted))
    with pytest.raises(RegistrationError, match="3 dimensions"):
        NeuralField.load(tmp_path / "field.safetensors", Geometry((1, 10, 12), AFFINE))


def test_a_file_that_is_no_field_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"not a field")
    with pytest.raises(RegistrationError, match="not readable as safetensors"):
        NeuralField.load(path)
    with pytest.raises(RegistrationError, match="does not exist"):
        NeuralField.load(tmp_path / "missing.safetensors")
