"""Weights and checkpoints as safetensors with JSON in their header: tensors and text, nothing that could be run."""

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


def write_tensors(path: Path, tensors: dict[str, Tensor], content: dict[str, Any], form: str) -> None:
    """Writes tensors and JSON under a temporary name and renames the file when it is whole.

    form: what the file is, in words that `read_tensors` asks for again.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"format": form, "version": __version__, "content": json.dumps(content)}
    write_whole(path, save(plain, metadata))


def read_tensors(path: Path, form: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and JSON of such a file; raises RegistrationError for any other."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RegistrationError(
            f"{path} does not exist or is no file: name one that diffreg train has made.", path=path
        )
    _refuse_pickle(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("format") != form:
            held = metadata.get("format", "something else")
            raise RegistrationError(f"{path} holds {held}, not {form}: name the file of this method.", path=path)
        return tensors, json.loads(metadata["content"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        if isinstance(error, RegistrationError):
            raise
        raise RegistrationError(
            f"{path} is not readable as safetensors: name one that diffreg train has made.", path=path
        ) from error


def _refuse_pickle(path: Path) -> None:
    """Raises RegistrationError for what torch.save and pickle.dump write, whatever it is called."""
    with open(path, "rb") as file:
        begin = file.read(4)
    if begin.startswith((b"PK", b"\x80")) and path.suffix != ".safetensors":
        raise RegistrationError(
            f"{path} is a pickle, which runs what its author wrote when it is read: have it saved as safetensors.",
            path=path,
        )


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
