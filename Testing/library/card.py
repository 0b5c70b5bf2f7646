"""A GPU that is not there: the processor computes, but what lies on the device may not meet what does not.

A machine without a GPU runs code for one all the same, except for two of its rules: tensors of two devices do not mix,
and those of a GPU are no arrays. Here they are kept: tensors "on the card" are of a class of their own, say that they
lie on torch's device "meta" (the only one but the processor on which autograd runs everywhere), and hold their values
on the processor, where every operation is computed, unless it was given some of both.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from DiffRegLib.ops.device import choose_device
from DiffRegLib.training.fabric import start_fabric

CARD = torch.device("meta")
MADE_ANYWHERE = (torch.tensor, torch.as_tensor)  # of numbers, on the processor first
CHOSEN = ("aten.index.", "aten.index_put", "aten._index_put")  # indices may lie on the processor
VALUES = ("aten._local_scalar_dense", "aten.equal")  # answers that are no tensors


class OnCard(Tensor):
    """A tensor on the card; `held` has its values."""

    @staticmethod
    def __new__(cls, held: Tensor) -> OnCard:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = Tensor._make_wrapper_subclass(cls, held.shape, device=CARD, **layout)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _computed(func, args, kwargs or {})

    def numpy(self, **kwargs: Any) -> Any:
        raise TypeError("can't convert a tensor of the device to numpy: use Tensor.cpu() first")

    def __array__(self, *args: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.held.tolist()


class _Made(TorchDispatchMode):
    """What is made on the card, or brought there."""

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """Tensors of numbers, which torch makes without asking the mode above."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.new_tensor and isinstance(args[0], OnCard):
            return args[0].held.new_tensor(*args[1:], **kwargs).to(CARD)
        if func not in MADE_ANYWHERE:
            return func(*args, **kwargs)
        if isinstance(args[0], OnCard):
            return args[0].to(**kwargs)
        there = torch.device(kwargs.get("device") or "cpu") == CARD
        if there:
            del kwargs["device"]
        return func(*args, **kwargs).to(CARD) if there else func(*args, **kwargs)


def _computed(func: Any, args: tuple, kwargs: dict) -> Any:
    """What an operation gives, computed on the processor, on the device where torch would leave it."""
    name, tensors = str(func), [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = any(isinstance(tensor, OnCard) for tensor in tensors)
    if there and "copy" not in name:
        _check_one_device(name, tensors)
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]) == CARD
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if kwargs.get("pin_memory"):
        kwargs = {**kwargs, "pin_memory": False}
    plain = tree_map(lambda leaf: leaf.held if isinstance(leaf, OnCard) else leaf, (args, kwargs))
    found = func(*plain[0], **plain[1])
    if name.startswith(VALUES):
        return found
    if any(argument.alias_info and argument.alias_info.is_write for argument in func._schema.arguments):
        if there and found.shape != tensors[0].shape:
            with torch._C._DisableTorchDispatch():
                func(*args, **kwargs)  # the shape, of which the wrapper has its own
        return tensors[0] if isinstance(found, Tensor) else found
    return tree_map(lambda leaf: OnCard(leaf) if there and isinstance(leaf, Tensor) else leaf, found)


def _check_one_device(name: str, tensors: list[Tensor]) -> None:
    """Raises RuntimeError, as torch does, for tensors of both devices; single numbers and indices may be elsewhere."""
    elsewhere = [tensor for tensor in tensors if not isinstance(tensor, OnCard)]
    chosen = name.startswith(CHOSEN) and isinstance(tensors[0], OnCard)
    if any(tensor.ndim for tensor in elsewhere) and not chosen:
        raise RuntimeError(f"{name} was given tensors of the device and of the processor")


class _Fabric(SimpleNamespace):
    """What a trainer asks of Lightning Fabric, which knows no such device."""

    loggers, global_rank, world_size = (), 0, 1

    def setup(self, module: torch.nn.Module, optimizer: Any) -> tuple:
        module = module.to(self.device)  # its parameters are new ones there, for want of a device of that kind
        return module, module.optimizer()

    def all_reduce(self, value: Tensor) -> Tensor:
        return value

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def clip_gradients(self, module: torch.nn.Module, optimizer: Any, max_norm: float, **kwargs: Any) -> None:
        torch.nn.utils.clip_grad_norm_(module.parameters(), max_norm)

    def barrier(self) -> None:
        pass


class _Kind(type):
    """torch.Generator, whose random numbers come from the processor on every device."""

    kind = torch.Generator

    def __call__(cls, *args: Any) -> torch.Generator:
        return cls.kind()

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.kind)


@contextlib.contextmanager
def pretended() -> Iterator[None]:
    """Options that ask for "cuda" or "auto" get the card."""

    def chosen(name: str) -> torch.device:
        return choose_device("cpu") if name == "cpu" else CARD

    def started(options: Any, folder: Any) -> _Fabric:
        return _Fabric(device=chosen(options.device))

    cast = torch.autocast
    changes: list[tuple[Any, str, Any]] = [
        (torch.cuda, "max_memory_allocated", lambda device=None: 0),
        (torch, "autocast", lambda device, *args, **kwargs: cast("cpu", *args, **kwargs)),
        (torch, "Generator", _Kind("Generator", (), {})),
    ]
    for module in [m for m in sys.modules.values() if getattr(m, "__name__", "").startswith("DiffRegLib")]:
        for real, ours in ((choose_device, chosen), (start_fabric, started)):
            if module.__dict__.get(real.__name__) is real:
                changes.append((module, real.__name__, ours))
    with contextlib.ExitStack() as stack:
        for owner, name, value in changes:
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(_Made())
        stack.enter_context(_Numbers())
        yield
