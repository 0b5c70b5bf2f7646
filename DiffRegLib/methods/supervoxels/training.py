"""Training of the network on scans that a registration has given the supervoxels of the reference."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.supervoxels.augmentation import augmented
from DiffRegLib.methods.supervoxels.model import Model, write_model
from DiffRegLib.methods.supervoxels.network import SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import PreparationOptions, TrainingOptions
from DiffRegLib.methods.supervoxels.validation import Labeled, carried_dice
from DiffRegLib.options import to_dict, validate
from DiffRegLib.training.learner import Learner

HALO = 1  # voxels around a block that the head's neighborhoods reach
COOLING = 0.5  # of the steps, the last ones, over which the learning rate falls to 0


@dataclass(frozen=True, eq=False)
class Example:
    """A scan in the box: HU (1, D, H, W) on the grid of the supervoxels, and its classes (L, D, H, W) uint8.

    labels: (1, D, H, W) integers by which the training is validated, or None.
    """

    scan: Tensor
    layers: Tensor
    labels: Tensor | None = None


class SupervoxelLearner(Learner):
    """A network that learns which supervoxel of the reference a voxel belongs to.

    examples: at least one. Raises RegistrationError for options that cannot be.
    """

    def __init__(
        self, examples: Sequence[Example], classes: int, preparation: PreparationOptions, options: TrainingOptions
    ) -> None:
        validate(options)
        if len(examples) == 1 and not options.warp and not options.affine:
            raise RegistrationError("One scan that does not move teaches nothing: give {warp}.", option="warp")
        super().__init__(options.iterations, options.batch, options.seed)
        self.examples, self.preparation, self.options = examples, preparation, options
        with torch.random.fork_rng([]):
            torch.manual_seed(options.seed)
            self.network = SupervoxelNetwork(len(examples[0].layers), classes)
        self._there: list[tuple[Tensor, Tensor]] = []
        self.train()

    def forward(self, samples: Sequence[int]) -> dict[str, Tensor]:
        """Cross entropy, the share of voxels with the right class, and the mean largest probability."""
        draws = [self.draws(number) for number in samples]
        scans, classes = self._batch(draws)
        logits, wanted = self._blocks(self.network.features(scans), classes, draws)
        logits = logits.float()
        loss = cross_entropy(logits.flatten(0, 1), wanted.flatten(0, 1))
        with torch.no_grad():
            largest, found = logits.max(2)
            right = (found == wanted).float().mean()
            confidence = (largest - logits.logsumexp(2)).exp().mean()
        return {"loss": loss, "right": right, "confidence": confidence}

    def train(self, mode: bool = True) -> SupervoxelLearner:
        """As of any module; means that have settled stay."""
        super().train(mode)
        for module in self.modules() if self.options.settled else ():
            if isinstance(module, nn.BatchNorm3d):
                module.eval()
        return self

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.options.learning_rate)

    def rate(self, iteration: int) -> float:
        """As asked, and in the last part of the steps less and less, so that the weights come to rest."""
        left = 1 - iteration / self.options.iterations
        return self.options.learning_rate * min(1.0, left / COOLING)

    def validation(self) -> float | None:
        """What is missing to a Dice of 1 of carried labels; None where the reference has none."""
        known = [Labeled(e.scan, e.labels) for e in self.examples if e.labels is not None]
        if not known or self.examples[0].labels is None:
            return None
        with torch.enable_grad():  # a registration descends
            return 1 - carried_dice(self.network, known, 2 * self.preparation.spacing, self.options)

    def identity(self) -> dict[str, dict[str, Any]]:
        """Options and scans."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(example.scan.numpy().tobytes())
            digest.update(example.layers.numpy().tobytes())
        return {"training": to_dict(self.options), "data": {"scans": digest.hexdigest()}}

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the weights for registration; how sure the network was at the end tells scans that are unlike."""
        dice = {"dice": 1 - facts["validation"]} if "validation" in facts else {}
        known = {name: facts["last_losses"][name] for name in ("confidence", "right")}
        write_model(path, Model(self.network, self.preparation, {**facts, **known, **dice}))

    def _batch(self, draws: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Scans (B, 1, D, H, W) and their classes (B, L, d, h, w) after motion; places need all of their 24 bits."""
        spacing, known = 2 * self.preparation.spacing, self._examples_there()
        chosen = [known[int(torch.randint(len(known), (), generator=draw))] for draw in draws]
        with torch.autocast(self.device.type, enabled=False):
            pairs = [augmented(*one, spacing, self.options, draw) for one, draw in zip(chosen, draws)]
        scans, classes = (torch.stack(part) for part in zip(*pairs))
        return scans, classes

    def _examples_there(self) -> list[tuple[Tensor, Tensor]]:
        """Scans and classes of all examples where the network is."""
        if not self._there or self._there[0][0].device != self.device:
            self._there = [(e.scan.to(self.device), e.layers.to(self.device)) for e in self.examples]
        return self._there

    def _blocks(self, features: Tensor, classes: Tensor, draws: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Logits (N, L, K, ...) and classes (N, L, ...) of the whole scans, or of a random block in each octant.

        The head normalizes by what it sees: one block as large as the eight has other means than the scan, and a
        network that names 87 % of all voxels rightly named 53 % of those of such a block.
        """
        width = self.options.block
        if not width:
            return self.network.classify(features), classes
        parts, wanted = [], []
        for one, classes_of_one, draw in zip(features, classes, draws):
            for octant in itertools.product((0, 1), repeat=3):
                cut = [_within(n, side, width, draw) for n, side in zip(one.shape[1:], octant)]
                parts.append(one[(slice(None), *(slice(a - HALO, b + HALO) for a, b in cut))])
                wanted.append(classes_of_one[(slice(None), *(slice(a, b) for a, b in cut))])
        inner = (..., *(slice(HALO, -HALO),) * 3)
        return self.network.classify(torch.stack(parts))[inner], torch.stack(wanted)


def _within(count: int, side: int, width: int, draw: torch.Generator) -> tuple[int, int]:
    """First and after the last of at most `width` voxels in the lower or upper half of an axis, halos left."""
    room = (count - 2 * HALO) // 2
    width = min(width, room)
    first = HALO + side * room + int(torch.randint(room - width + 1, (1,), generator=draw))
    return first, first + width
