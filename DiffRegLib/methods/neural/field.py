"""The field: two networks, one for each direction, evaluated at any point; its transforms and its file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.methods.neural.codes import Codes
from DiffRegLib.methods.neural.frame import Frame
from DiffRegLib.methods.neural.fused import BlockNetwork
from DiffRegLib.methods.neural.network import ModulatedMLP, Size, with_unit_vectors
from DiffRegLib.training.tensors import read_tensors, write_tensors
from DiffRegLib.transforms import Transform

FORM = "a neural field"
FORWARD, BACKWARD = 0, 1


class NeuralField(nn.Module):
    """x -> x + u(x), forward from the fixed image and backward to it, zero at first.

    Both live in the frame of the fixed image's box and share their codes.
    """

    def __init__(self, lattice: Lattice, size: Size, code_shape: tuple[int, ...], seed: int = 0) -> None:
        """lattice: of the fixed image. code_shape: nodes (d, h, w) of the map of local codes."""
        super().__init__()
        self.geometry = Geometry(lattice.shape, lattice.affine)
        self.frame, self.size = Frame.of(lattice), size
        generator = torch.Generator().manual_seed(seed)
        channels = (size.global_code, size.local_code)
        self.codes = Codes.drawn(code_shape, channels, self.frame.half, generator)
        self.networks = nn.ModuleList(ModulatedMLP(self.frame.dimension, size, generator) for _ in range(2))

    @property
    def device(self) -> torch.device:
        return self.codes.shared.device

    def clear(self) -> None:
        """Both directions move nothing again."""
        for network in self.networks:
            network.last_weight.data.zero_()
            network.last_bias.data.zero_()

    def stack(self, points: Tensor, direction: int) -> Tensor:
        """The stack (1 + T, N, dimension) of displacements, in the frame, at the stack of points; differentiable."""
        return self.networks[direction](points, self.codes(points), self.codes.shared)

    def jacobian(self, points: Tensor, direction: int = FORWARD) -> tuple[Tensor, Tensor]:
        """Where (N, dimension) points of the frame go; the (N, dimension, dimension) Jacobian, row = component."""
        moved = self.stack(with_unit_vectors(points), direction)
        identity = torch.eye(points.shape[1]).to(points)
        return points + moved[0], identity + moved[1:].permute(1, 2, 0)

    def transform(self, direction: int = FORWARD) -> FieldTransform:
        """One of the two directions as a transform in RAS mm."""
        return FieldTransform(self, direction)

    def save(self, path: str | Path) -> None:
        """Writes the field as safetensors, with the geometry that it belongs to."""
        facts = {
            "shape": list(self.geometry.shape),
            "affine": self.geometry.affine.tolist(),
            "size": vars(self.size),
            "codes": list(self.codes.local.shape[1:]),
        }
        write_tensors(Path(path), self.state_dict(), facts, FORM)

    @classmethod
    def load(cls, path: str | Path, lattice: Lattice | None = None) -> NeuralField:
        """Reads a field; raises `RegistrationError` for another kind of file, or one that belongs to another box.

        lattice: the fixed image that the field is meant for.
        """
        tensors, facts = read_tensors(Path(path), FORM)
        own = Geometry(tuple(facts["shape"]), torch.tensor(facts["affine"], dtype=torch.float64))
        field = cls(own, Size(**facts["size"]), tuple(facts["codes"]))
        if lattice is not None:
            field.check(lattice, path)
        field.load_state_dict(tensors)
        return field

    def check(self, lattice: Lattice, path: str | Path) -> None:
        """Raises `RegistrationError` where the field of a file does not belong to the box of a fixed image."""
        wanted = Frame.of(lattice)
        if self.frame.dimension != wanted.dimension:
            raise RegistrationError(
                f"{path} is a field of {self.frame.dimension} dimensions, the fixed image has {wanted.dimension}: "
                "give a field of the same kind.",
                path=path,
            )
        if not self.frame.same_as(wanted):
            raise RegistrationError(
                f"{path} belongs to another geometry than the fixed image: give the field of this image.", path=path
            )


class FieldTransform(Transform):
    """One direction of a field: points (..., 3) in RAS mm, differentiable in them and in the field's parameters."""

    def __init__(self, field: NeuralField, direction: int = FORWARD) -> None:
        self.field, self.direction = field, direction

    def __call__(self, points: Tensor) -> Tensor:
        inner = self.field.frame.inward(points).reshape(-1, self.field.frame.dimension).float().to(self.field.device)
        if torch.is_grad_enabled() and (points.requires_grad or self.field.training):
            moved = self.field.stack(inner[None], self.direction)[0]
        else:
            moved = BlockNetwork(self.field.networks[self.direction], self.field.codes).values(inner)
        return points + self.field.frame.outward(moved).to(points).reshape(points.shape)

    def to(self, device: torch.device | str) -> FieldTransform:
        return FieldTransform(self.field.to(device), self.direction)

    def jacobian(self, points: Tensor) -> Tensor:
        """(..., 3, 3) dT/dx in closed form."""
        frame = self.field.frame
        inner = frame.inward(points).reshape(-1, frame.dimension).float().to(self.field.device)
        moved = self.field.stack(with_unit_vectors(inner), self.direction)[1:].permute(1, 2, 0)
        axes = frame.axes.to(moved)
        return torch.eye(3).to(points) + (axes @ moved @ axes.T).to(points).reshape(*points.shape[:-1], 3, 3)

    def default_geometry(self) -> Geometry:
        return self.field.geometry
