"""Weights of the learned similarity and checkpoints of its training, as safetensors with the options in their header.

Tensors and text alone: reading such a file runs nothing that somebody else wrote.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.projective.network import SimilarityNetwork
from DiffRegLib.methods.projective.training_options import NETWORK, NetworkOptions
from DiffRegLib.options import from_dict, to_dict

FORMAT = "diffreg projective similarity 1"


def write_weights(path: Path, network: SimilarityNetwork, facts: dict[str, Any]) -> None:
    """Writes a network with its options; `facts` is JSON on how it was trained."""
    write_tensors(path, network.state_dict(), {"network": to_dict(network.options), "facts": facts})


def read_weights(path: str | os.PathLike) -> tuple[SimilarityNetwork, dict[str, Any]]:
    """The network of a file, or of a folder that `diffreg train` made, ready to be used, and the facts with it.

    Raises RegistrationError for anything else.
    """
    path = Path(path)
    tensors, content = read_tensors(path / NETWORK if path.is_dir() else path)
    return build(tensors, content, path), content.get("facts", {})


def build(tensors: dict[str, Tensor], content: dict[str, Any], path: Path) -> SimilarityNetwork:
    """The network of stored options with stored weights."""
    try:
        network = SimilarityNetwork(from_dict(NetworkOptions, content["network"]))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise RegistrationError(f"{path} does not hold a whole network: train it again.") from error
    return network.eval().requires_grad_(False)


def write_tensors(path: Path, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
    """Writes tensors and JSON under a temporary name and renames the file when it is whole."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "version": __version__, "content": json.dumps(content)}
    write_whole(path, save(plain, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and JSON of such a file; raises RegistrationError for any other."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RegistrationError(f"{path} does not exist or is no file: name one that diffreg train has made.")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("format") != FORMAT:
            raise RegistrationError(f"{path} holds no learned similarity: name a file that diffreg train has made.")
        return tensors, json.loads(metadata["content"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        if isinstance(error, RegistrationError):
            raise
        raise RegistrationError(
            f"{path} is not readable as safetensors: name one that diffreg train has made."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """The file appears under its name with all of its content, or the one that was there stays."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer, by number of the parameter and name."""
    state = optimizer.state_dict()["state"]
    return {f"{n}.{name}": value for n, values in state.items() for name, value in values.items() if value is not None}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts the state back that `optimizer_tensors` took."""
    stored: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        stored.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": stored})
