"""What the network of splatting learns from a pair: where points belong, or how well densities fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.methods.splatting.misfit import misfit
from DiffRegLib.methods.splatting.network import Frame, Motion, SplatNetwork
from DiffRegLib.methods.splatting.network_options import NetworkOptions, SplattingTrainingOptions
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.synthetic import TrainingPair
from DiffRegLib.methods.splatting.weights import write_network
from DiffRegLib.options import to_dict, validate
from DiffRegLib.training.learner import Learner

DENSITIES = SplattingOptions()  # by which densities are compared
LAST = 0.01  # of the learning rate, at the end
TINY = 0.1  # mm, below which a distance counts squared


class SplatLearner(Learner):
    """Learns from pairs that the numbers of samples decide.

    pairs: the pair of a sample, from its random numbers. data: SHA-256 of what the pairs are made of, by its name.
    validated: pairs on which the best weights are chosen.
    """

    def __init__(
        self,
        pairs: Callable[[torch.Generator], TrainingPair],
        data: dict[str, str],
        shape: NetworkOptions,
        options: SplattingTrainingOptions,
        validated: Sequence[TrainingPair] = (),
    ) -> None:
        validate(shape), validate(options)
        super().__init__(options.iterations, options.batch, options.seed, options.clip)
        self.options, self.pairs, self.data, self.validated = options, pairs, data, validated
        with torch.random.fork_rng([]):
            torch.manual_seed(options.seed)
            self.network = SplatNetwork(shape)

    def forward(self, samples: Sequence[int]) -> dict[str, Tensor]:
        """The loss with its two parts; "error" in mm where the motion is known, that of the densities elsewhere."""
        parts = [self._compared(self.pairs(self.draws(n))) for n in samples]
        error, bending = (sum(values) / len(parts) for values in zip(*parts))
        return {"loss": error + self.options.stiffness * bending, "error": error, "bending": bending}

    def _compared(self, pair: TrainingPair) -> tuple[Tensor, Tensor]:
        fixed, moving = (cloud.to(self.device) for cloud in (pair.fixed, pair.moving))
        frame = Frame.around(fixed.points, moving.points)
        motion = self.network(*(cloud.at(frame.inside(cloud.points)) for cloud in (fixed, moving)))
        if pair.there is None:
            error = misfit(motion, frame, fixed, moving, self.options.blur, DENSITIES)
        else:
            ways = ((motion, pair.there), (motion.inverse(), pair.back))
            error = sum(_distance(go, frame, *points) for go, points in ways) / 2
        return error, motion.bending()

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.options.learning_rate)

    def rate(self, iteration: int) -> float:
        """Falls to a hundredth along half a cosine."""
        way = (1 + math.cos(math.pi * iteration / self.iterations)) / 2
        return self.options.learning_rate * (LAST + (1 - LAST) * way)

    def validation(self) -> float | None:
        """The mean error of the validated pairs."""
        if not self.validated:
            return None
        return sum(float(self._compared(pair)[0].detach()) for pair in self.validated) / len(self.validated)

    def identity(self) -> dict[str, dict[str, Any]]:
        """Shape, options, and what the pairs are made of."""
        return {"network": to_dict(self.network.options), "training": to_dict(self.options), "data": dict(self.data)}

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the weights for registration."""
        write_network(path, self.network, facts)


def _distance(motion: Motion, frame: Frame, points: Tensor, targets: Tensor) -> Tensor:
    """Mean distance in mm."""
    points, targets = (p.to(motion.velocities[0]) for p in (points, targets))
    way = frame.outside(motion(frame.inside(points))) - targets
    return (way.square().sum(1) + TINY**2).sqrt().mean()
