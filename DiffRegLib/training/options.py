"""How a training runs, whatever is trained. No torch here: the command line's help imports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import option

NETWORK = "network.safetensors"  # the weights in the folder of a training
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class RunOptions:
    """Where a training computes, and what it leaves behind; all of it may change when a training goes on."""

    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute; auto takes a GPU where there is one")
    precision: Literal["32", "bf16", "auto"] = option(
        "32", "bf16: products in 16 bits, weights in 32; auto: so where the processor has such numbers"
    )
    devices: int = option(1, "processes on each machine, one a GPU; a step has the batch of each", low=1, high=1024)
    nodes: int = option(1, "machines; start the command on each, as torchrun or SLURM do", low=1, high=4096)
    checkpoint: int = option(200, "steps between two checkpoints, from which a training goes on", low=1, high=10**7)
    validated: int = option(1, "checkpoints from one validation to the next", low=1, high=10**6)
    patience: int = option(
        0, "validations without a better one after which the training ends; 0 goes to the end", low=0, high=10**6
    )
    tensorboard: bool = option(False, "curves for TensorBoard as well, in the folder tensorboard of OUT")
