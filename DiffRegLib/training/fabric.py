"""Lightning Fabric behind one function: device, precision, several processes on one or more machines.

Fabric and not Lightning's Trainer: its checkpoints are pickles, ours are tensors and text, and an iteration here is
known by its number alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.ops.device import choose_device, has_bfloat16
from DiffRegLib.training.options import RunOptions


def start_fabric(options: RunOptions, folder: Path) -> Any:
    """A Fabric whose processes have started; raises RegistrationError where the package or a GPU is missing."""
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RegistrationError(
            'Training needs the package lightning-fabric: install it with pip install "diffreg[train]".'
        ) from error
    device = choose_device(options.device)
    half = options.precision == "bf16" or (options.precision == "auto" and has_bfloat16(device))
    alone = options.devices * options.nodes == 1
    fabric = Fabric(
        accelerator=device.type,
        # parameters that one step does not reach, such as those of a part that is switched off, stop the others else
        strategy="auto" if alone else "ddp_find_unused_parameters_true",
        devices=options.devices,
        num_nodes=options.nodes,
        precision="bf16-mixed" if half else "32-true",
        loggers=_curves(folder) if options.tensorboard else None,
    )
    fabric.launch()
    torch.backends.cudnn.benchmark = True  # steps of equal shapes: the fastest of its algorithms is found once
    return fabric


def _curves(folder: Path) -> Any:
    from lightning_fabric.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(folder, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise RegistrationError(
            '{tensorboard} needs the package tensorboard: install it with pip install "diffreg[train]".',
            option="tensorboard",
        ) from error
