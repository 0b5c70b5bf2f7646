"""Training of the network on scans that a registration has given the supervoxels of the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.registration import Progress
from DiffRegLib.methods.supervoxels.augmentation import augmented
from DiffRegLib.methods.supervoxels.model import NETWORK, Model, write_model
from DiffRegLib.methods.supervoxels.network import SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import PreparationOptions, TrainingOptions
from DiffRegLib.methods.supervoxels.validation import Labeled, carried_dice
from DiffRegLib.ops.device import choose_device, has_bfloat16
from DiffRegLib.options import to_dict, validate
from DiffRegLib.training.tensors import (
    optimizer_tensors,
    read_tensors,
    restore_optimizer,
    write_tensors,
    write_whole,
)

CHECKPOINT, TRACE = "checkpoint.safetensors", "trace.csv"
FORM = "a training of supervoxels, version 1"
MAY_CHANGE = (
    "iterations",
    "checkpoint",
    "validation",
    "device",
    "mixed_precision",
)  # that may differ when a run is resumed
COOLING = 0.2  # of the steps, the last ones, over which the learning rate falls to 0
RECENT = 50  # steps over which the confidence of the finished network is averaged


@dataclass(frozen=True, eq=False)
class Example:
    """A scan in the box: HU (1, D, H, W) on the grid of the supervoxels, and its classes (L, D, H, W) uint8.

    labels: (1, D, H, W) integers by which the training is validated, or None.
    """

    scan: Tensor
    layers: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """One iteration: loss, share of voxels with the right class, mean largest probability.

    dice: of the labels that the supervoxels carry after it, NaN where that was not looked at.
    """

    iteration: int
    loss: float
    right: float
    confidence: float
    dice: float = float("nan")


class Trainer:
    """A training run: iterate over `steps`, write with `save`, go on with `resume`.

    examples: at least one. Raises RegistrationError for options that cannot be.
    """

    def __init__(
        self, examples: Sequence[Example], classes: int, preparation: PreparationOptions, options: TrainingOptions
    ) -> None:
        validate(options)
        if len(examples) == 1 and not options.warp and not options.affine:
            raise RegistrationError("One scan that does not move teaches nothing: give {warp}.", option="warp")
        self.examples, self.preparation, self.options = examples, preparation, options
        self.device = choose_device(options.device)
        with torch.random.fork_rng([]):
            torch.manual_seed(options.seed)
            self.network = SupervoxelNetwork(len(examples[0].layers), classes).to(self.device).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=options.learning_rate)
        self.trace: list[Step] = []

    def steps(self) -> Iterator[Step]:
        """Trains from where the run is to `options.iterations`, one iteration at a time."""
        while len(self.trace) < self.options.iterations:
            yield self._step(len(self.trace))

    def _step(self, iteration: int) -> Step:
        generator = torch.Generator().manual_seed(1_000_003 * self.options.seed + iteration)
        scans, classes = self._batch(generator)
        half = self.options.mixed_precision and has_bfloat16(self.device)
        with torch.random.fork_rng([]), torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            torch.manual_seed(iteration)  # of what is dropped out
            features = self.network.features(scans)
            logits, wanted = self._blocks(features, classes, generator)
            loss = cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(0, 1))
        if not loss.isfinite():
            raise RegistrationError(f"The loss is {loss.item()} at step {iteration + 1}: use a lower learning rate.")
        self.optimizer.zero_grad()
        self.optimizer.param_groups[0]["lr"] = self._rate(iteration)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            right = (logits.argmax(2) == wanted).float().mean()
            confidence = logits.float().softmax(2).amax(2).mean()
        dice = self._validated(iteration + 1)
        self.trace.append(Step(iteration + 1, loss.item(), right.item(), confidence.item(), dice))
        return self.trace[-1]

    def _validated(self, iteration: int) -> float:
        """The Dice of carried labels; NaN where it is not time for it, or no labels are known."""
        known = [Labeled(e.scan, e.labels) for e in self.examples if e.labels is not None]
        every, last = self.options.validation, self.options.iterations
        if not known or self.examples[0].labels is None or (iteration % every and iteration != last):
            return float("nan")
        return carried_dice(self.network, known, 2 * self.preparation.spacing, self.options)

    def _rate(self, iteration: int) -> float:
        """As asked, and in the last part of the steps less and less, so that the weights come to rest."""
        left = 1 - iteration / self.options.iterations
        return self.options.learning_rate * min(1.0, left / COOLING)

    def _batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Scans (B, 1, D, H, W) and their classes (B, L, d, h, w) after motion."""
        spacing = 2 * self.preparation.spacing
        chosen = torch.randint(len(self.examples), (self.options.batch,), generator=generator).tolist()
        pairs = [
            augmented(e.scan, e.layers, spacing, self.options, generator) for e in (self.examples[n] for n in chosen)
        ]
        scans, classes = (torch.stack(part).to(self.device) for part in zip(*pairs))
        return scans, classes

    def _blocks(self, features: Tensor, classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits (B, L, K, ...) and classes (B, L, ...) of the whole scans, or of one random block of each."""
        width = self.options.block
        if not width:
            return self.network.classify(features), classes
        parts, wanted = [], []
        for one, classes_of_one in zip(features, classes):
            sizes = [min(width, n) for n in one.shape[1:]]
            first = [
                int(torch.randint(n - size + 1, (1,), generator=generator)) for n, size in zip(one.shape[1:], sizes)
            ]
            cut = tuple(slice(a, a + size) for a, size in zip(first, sizes))
            parts.append(one[(slice(None), *cut)])
            wanted.append(classes_of_one[(slice(None), *cut)])
        return self.network.classify(torch.stack(parts)), torch.stack(wanted)

    def save(self, folder: Path) -> None:
        """Writes the checkpoint and the trace; both appear whole."""
        state = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        state |= {f"optimizer.{name}": t for name, t in optimizer_tensors(self.optimizer).items()}
        rows = [[float(v) for v in astuple(step)] for step in self.trace]
        state["trace"] = torch.tensor(rows, dtype=torch.float64).reshape(-1, len(fields(Step)))
        write_tensors(folder / CHECKPOINT, state, self._content(), FORM)
        lines = [",".join(f.name for f in fields(Step))]
        lines += [",".join(f"{value:.9g}" for value in astuple(step)) for step in self.trace]
        write_whole(folder / TRACE, ("\n".join(lines) + "\n").encode())

    def resume(self, folder: Path) -> None:
        """Takes up the checkpoint of a folder; raises RegistrationError where it belongs to another training."""
        path = folder / CHECKPOINT
        tensors, content = read_tensors(path, FORM)
        mine = self._content()
        for name, value in mine["training"].items():
            was = content.get("training", {}).get(name)
            if name not in MAY_CHANGE and was != value:
                sentence = f"{path} was trained with {{{name}}} {was}, not {value}: use that to resume."
                raise RegistrationError(sentence, option=name, path=path)
        if content.get("data") != mine["data"]:
            raise RegistrationError(f"{path} was trained on other scans: name those to resume.", path=path)
        self.network.load_state_dict({k[8:]: t for k, t in tensors.items() if k.startswith("network.")})
        restore_optimizer(self.optimizer, {k[10:]: t for k, t in tensors.items() if k.startswith("optimizer.")})
        self.trace = [Step(int(row[0]), *row[1:]) for row in tensors["trace"].tolist()]

    def finish(self, folder: Path, facts: dict[str, Any]) -> None:
        """Writes the weights for registration."""
        last = self.trace[-RECENT:]
        facts = {
            **facts,
            "training": to_dict(self.options),
            "steps": len(self.trace),
            "confidence": sum(step.confidence for step in last) / len(last),
            "right": sum(step.right for step in last) / len(last),
            "dice": next((step.dice for step in reversed(self.trace) if step.dice == step.dice), None),
        }
        write_model(folder / NETWORK, Model(self.network, self.preparation, facts))

    def _content(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(example.scan.numpy().tobytes())
            digest.update(example.layers.numpy().tobytes())
        return {"training": to_dict(self.options), "data": digest.hexdigest()}


def train(trainer: Trainer, folder: Path, facts: dict[str, Any], progress: Progress | None = None) -> None:
    """Runs a training to its end, with checkpoints in a folder; what `progress` raises ends it at the last of them."""
    total, every = trainer.options.iterations, trainer.options.checkpoint
    for step in trainer.steps():
        if step.iteration % every == 0 or step.iteration == total:
            trainer.save(folder)
        if progress is not None:
            progress(step.iteration / total, "Training.", iteration=step.iteration, loss=step.loss, stage="training")
    trainer.finish(folder, facts)
