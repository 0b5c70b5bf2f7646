"""What a method gives to be trained: parameters, samples by number, losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SPREAD = 2654435761  # between the seeds of runs; torch takes 32 bits of a seed


class Learner(nn.Module):
    """A module whose parameters are learned and whose call gives losses.

    A sample has a number, which decides all that is drawn for it: so a training that was interrupted goes on with what
    it would have seen, and several processes share what one would have seen alone.

    iterations: steps of the whole training. batch: samples a step of one process. clip: longest gradient; 0 is none.
    """

    def __init__(self, iterations: int, batch: int, seed: int, clip: float = 0.0) -> None:
        super().__init__()
        self.iterations, self.batch, self.seed, self.clip = iterations, batch, seed, clip

    def forward(self, samples: Sequence[int]) -> dict[str, Tensor]:
        """Means over the samples: "loss", which is minimized, and what else a curve is worth."""
        raise NotImplementedError

    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of the parameters."""
        raise NotImplementedError

    def rate(self, iteration: int) -> float | None:
        """The learning rate of an iteration; None leaves the optimizer's own."""
        return None

    def validation(self) -> float | None:
        """A loss on what is not learned from, smaller is better; None where there is nothing of that kind."""
        return None

    def identity(self) -> dict[str, dict[str, Any]]:
        """Group -> name -> value of what has to be the same when the training goes on, as JSON can hold it."""
        raise NotImplementedError

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the weights as the method reads them; `facts` is JSON on the run."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def draws(self, sample: int) -> torch.Generator:
        """The random numbers of a sample, on the CPU."""
        return torch.Generator().manual_seed((self.seed * SPREAD + sample) % 2**32)
