"""A trained model: the networks that all pairs share, and what predicts a pair's codes and its start; its file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Lattice
from DiffRegLib.methods.neural.encoder import Encoder, seen
from DiffRegLib.methods.neural.field import NeuralField
from DiffRegLib.methods.neural.network import ModulatedMLP, Size
from DiffRegLib.methods.neural.prepare import Pair
from DiffRegLib.methods.neural.voxels import VoxelNetwork
from DiffRegLib.training.tensors import read_tensors, write_tensors
from DiffRegLib.transforms import Composite, Transform

FORM = "a neural registration model"


class Model(nn.Module):
    """Networks for both directions and an encoder, of images whose longest side is half a unit of `NeuralField`'s."""

    def __init__(self, dimension: int, width: int, size: Size, seed: int = 0, coarse: int = 0) -> None:
        """dimension: 2 or 3. width, coarse: voxels of the longest side that the encoder and the network of voxels see.

        coarse: 0 for no network of voxels before the field.
        """
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.size, self.dimension, self.width, self.coarse = size, dimension, width, coarse
        self.networks = nn.ModuleList(ModulatedMLP(dimension, size, generator) for _ in range(2))
        self.encoder = Encoder(width, dimension, size, generator)
        self.voxels = VoxelNetwork(coarse, dimension, generator) if coarse else None

    def started(self, pair: Pair) -> Pair:
        """The pair with what the network of voxels predicts composed before its field; itself where there is none."""
        if self.voxels is None:
            return pair
        self._check(pair.fixed)
        both = seen(pair, self.coarse)
        there, back = (self.voxels.transform(pair.fixed, sides) for sides in (both, both.flip(1)))
        initial: Transform = there if pair.initial is None else Composite((pair.initial, there))
        inverse: Transform = back if pair.back is None else Composite((back, pair.back))
        return dataclasses.replace(pair, initial=initial, back=inverse)

    def field(self, pair: Pair) -> NeuralField:
        """The field of a pair with the codes that the encoder predicts; its networks are copies of the model's."""
        self._check(pair.fixed)
        with torch.no_grad():
            shared, local = self.encoder(seen(pair, self.width))
        return self.field_of(pair.fixed, shared[0], local[0])

    def field_of(self, fixed: Lattice, shared: Tensor, local: Tensor) -> NeuralField:
        """A field on the box of an image with these codes and copies of the networks."""
        field = NeuralField(fixed, self.size, tuple(local.shape[1:]))
        field.networks.load_state_dict(self.networks.state_dict())
        field.codes.shared, field.codes.local = (nn.Parameter(c.detach().clone().contiguous()) for c in (shared, local))
        return field

    def _check(self, fixed: Lattice) -> None:
        dimension = 2 if fixed.shape[0] == 1 else 3
        if dimension != self.dimension:
            raise RegistrationError(
                f"The model was trained for {self.dimension} dimensions, the fixed image has {dimension}: "
                "give a model of the same kind."
            )

    def save(self, path: str | Path, facts: dict[str, Any]) -> None:
        """Writes the model as safetensors; facts: how it was trained and what it reached."""
        own = {name: getattr(self, name) for name in ("dimension", "width", "coarse")}
        content = {**facts, **own, "size": vars(self.size)}
        write_tensors(Path(path), self.state_dict(), content, FORM)

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Reads a model; raises `RegistrationError` for any other file."""
        tensors, content = read_tensors(Path(path), FORM)
        model = cls(content["dimension"], content["width"], Size(**content["size"]), coarse=content.get("coarse", 0))
        model.load_state_dict(tensors)
        return model.eval()
