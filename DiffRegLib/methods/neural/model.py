"""A trained model: the networks that all pairs share, and the encoder that predicts a pair's codes; its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Lattice
from DiffRegLib.methods.neural.encoder import Encoder
from DiffRegLib.methods.neural.field import NeuralField
from DiffRegLib.methods.neural.network import ModulatedMLP, Size
from DiffRegLib.methods.neural.prepare import Pair
from DiffRegLib.training.tensors import read_tensors, write_tensors

FORM = "a neural registration model"


class Model(nn.Module):
    """Networks for both directions and an encoder, of images whose longest side is half a unit of `NeuralField`'s."""

    def __init__(self, dimension: int, width: int, size: Size, seed: int = 0) -> None:
        """dimension: 2 or 3. width: voxels of the longest side that the encoder sees."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.size, self.dimension, self.width = size, dimension, width
        self.networks = nn.ModuleList(ModulatedMLP(dimension, size, generator) for _ in range(2))
        self.encoder = Encoder(width, dimension, size, generator)

    def field(self, pair: Pair) -> NeuralField:
        """The field of a pair with the codes that the encoder predicts; its networks are copies of the model's."""
        with torch.no_grad():
            shared, local = self.encoder(self.encoder.seen(pair))
        return self.field_of(pair.fixed, shared[0], local[0])

    def field_of(self, fixed: Lattice, shared: Tensor, local: Tensor) -> NeuralField:
        """A field on the box of an image with these codes and copies of the networks."""
        dimension = 2 if fixed.shape[0] == 1 else 3
        if dimension != self.dimension:
            raise RegistrationError(
                f"The model was trained for {self.dimension} dimensions, the fixed image has {dimension}: "
                "give a model of the same kind."
            )
        field = NeuralField(fixed, self.size, tuple(local.shape[1:]))
        field.networks.load_state_dict(self.networks.state_dict())
        field.codes.shared.data, field.codes.local.data = shared.clone(), local.contiguous().clone()
        return field

    def save(self, path: str | Path, facts: dict[str, Any]) -> None:
        """Writes the model as safetensors; facts: how it was trained and what it reached."""
        content = {**facts, "dimension": self.dimension, "width": self.width, "size": vars(self.size)}
        write_tensors(Path(path), self.state_dict(), content, FORM)

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Reads a model; raises `RegistrationError` for any other file."""
        tensors, content = read_tensors(Path(path), FORM)
        model = cls(content["dimension"], content["width"], Size(**content["size"]))
        model.load_state_dict(tensors)
        return model.eval()
