"""Weights of the learned registration of clouds in a file, with the options of the network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.splatting.network import SplatNetwork
from DiffRegLib.methods.splatting.network_options import NetworkOptions
from DiffRegLib.options import from_dict, to_dict
from DiffRegLib.training.options import NETWORK
from DiffRegLib.training.registry import find_weights
from DiffRegLib.training.tensors import read_tensors, write_tensors

FORM = "a network of splatting, version 1"


def write_network(path: Path, network: SplatNetwork, facts: dict[str, Any]) -> None:
    """Writes a network with its options; `facts` is JSON on how it was trained."""
    write_tensors(path, network.state_dict(), {"network": to_dict(network.options), "facts": facts}, FORM)


def read_network(path: str | os.PathLike) -> SplatNetwork:
    """The network of a file, of a folder that `diffreg train` made, or of a known name; else RegistrationError."""
    path = Path(find_weights(os.fspath(path), method="splatting"))
    tensors, content = read_tensors(path / NETWORK if path.is_dir() else path, FORM)
    try:
        network = SplatNetwork(from_dict(NetworkOptions, content["network"]))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise RegistrationError(f"{path} does not hold a whole network: train it again.", path=path) from error
    return network.eval()
