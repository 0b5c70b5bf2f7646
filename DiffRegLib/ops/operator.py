"""Torch operators without `custom_op`, whose first call imports torch's compiler: a second of every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Operator:
    """An operator that is known to torch by a name of the form "diffreg::name"."""

    def __init__(self, name: str) -> None:
        self.name = name

    def register_fake(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: gives empty tensors of the right shape and type, for compilers."""
        torch.library.register_fake(self.name, function)
        return function

    def register_autograd(self, backward: Callable[..., Any], setup_context: Callable[..., Any]) -> None:
        """Gives the operator its gradient."""
        torch.library.register_autograd(self.name, backward, setup_context=setup_context)


def operator(name: str) -> Callable[[Callable[..., Any]], Operator]:
    """Decorator for a function that changes none of its arguments and returns none of them; it serves all devices."""

    def register(function: Callable[..., Any]) -> Operator:
        torch.library.define(name, torch.library.infer_schema(function, mutates_args=()))
        torch.library.impl(name, "default", function)
        return Operator(name)

    return register
