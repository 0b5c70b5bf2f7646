"""Weights of the learned similarity as safetensors with the options in their header.

Tensors and text alone: reading such a file runs nothing that somebody else wrote.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.projective.network import SimilarityNetwork
from DiffRegLib.methods.projective.training_options import NetworkOptions
from DiffRegLib.options import from_dict, to_dict
from DiffRegLib.training.options import NETWORK
from DiffRegLib.training.registry import find_weights
from DiffRegLib.training.tensors import read_tensors, write_tensors

FORMAT = "diffreg projective similarity 1"


def write_weights(path: Path, network: SimilarityNetwork, facts: dict[str, Any]) -> None:
    """Writes a network with its options; `facts` is JSON on how it was trained."""
    write_tensors(path, network.state_dict(), {"network": to_dict(network.options), "facts": facts}, FORMAT)


def read_weights(path: str | os.PathLike) -> tuple[SimilarityNetwork, dict[str, Any]]:
    """The network of a file, of a folder that `diffreg train` made, or of a known name, and the facts with it.

    Raises RegistrationError for anything else.
    """
    path = Path(find_weights(os.fspath(path), method="projective"))
    tensors, content = read_tensors(path / NETWORK if path.is_dir() else path, FORMAT)
    return build(tensors, content, path), content.get("facts", {})


def build(tensors: dict[str, Tensor], content: dict[str, Any], path: Path) -> SimilarityNetwork:
    """The network of stored options with stored weights."""
    try:
        network = SimilarityNetwork(from_dict(NetworkOptions, content["network"]))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise RegistrationError(f"{path} does not hold a whole network: train it again.") from error
    return network.eval().requires_grad_(False)
