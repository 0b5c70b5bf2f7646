"""Amortized training: over many pairs, the encoder learns to predict the codes, the networks what the codes mean.

A step takes the gradient of the loss of instance optimization for each pair of a batch; what it says of the codes goes
on into the encoder. Where a network of voxels goes first, it learns alone for the first steps and is frozen then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.encoder import seen
from DiffRegLib.methods.neural.field import NeuralField
from DiffRegLib.methods.neural.fused import BlockNetwork
from DiffRegLib.methods.neural.loss import SIMILARITIES, Regularization
from DiffRegLib.methods.neural.model import Model
from DiffRegLib.methods.neural.network import Size
from DiffRegLib.methods.neural.prepare import Pair
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.methods.registration import Progress
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.options import to_dict, validate
from DiffRegLib.training.tensors import optimizer_tensors, read_tensors, restore_optimizer, write_tensors

CHECKPOINT, NETWORK = "checkpoint.safetensors", "network.safetensors"
CHECKPOINT_FORM = "a checkpoint of neural registration"


@dataclass(frozen=True)
class Step:
    """One step: means over its pairs."""

    similarity: float
    regularization: float


class Trainer:
    """Trains a model on images.

    images: of one channel; registered in pairs, the first of a pair onto the second, see `NeuralTrainingOptions.pairs`.
    """

    def __init__(self, images: Sequence[Image], options: NeuralTrainingOptions) -> None:
        validate(options)
        if len(images) < 2:
            raise RegistrationError("Training takes at least two images: name more.")
        if len({image.shape[0] == 1 for image in images}) != 1:
            raise RegistrationError("Some images have one slice and others more: train on images of one kind.")
        if options.pairs == "listed" and len(images) % 2:
            raise RegistrationError("The number of images is odd, but {pairs} is listed: add one.", option="pairs")
        self.images, self.options, self.steps = images, options, 0
        dimension = 2 if images[0].shape[0] == 1 else 3
        size = Size(options.units, options.layers, options.frequencies, options.cycles)
        coarse = options.coarse_width if options.coarse else 0
        self.model = Model(dimension, options.width, size, options.seed, coarse)
        self._draws = torch.Generator().manual_seed(options.seed)
        self._adam = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate)

    def step(self) -> Step:
        """Draws a batch of pairs and follows the gradient of their mean loss."""
        self._adam.zero_grad()
        losses = []
        with one_thread():
            for _ in range(self.options.batch):
                pair = Pair(*self._pair())
                losses.append(self._before(pair) if self.steps < self.options.coarse else self._learn(pair))
            self._adam.step()
        self.steps += 1
        return Step(*(sum(values) / len(losses) for values in zip(*losses)))

    def _pair(self) -> tuple[Image, Image]:
        if self.options.pairs == "listed":
            first = 2 * int(torch.randint(len(self.images) // 2, (), generator=self._draws))
            return self.images[first], self.images[first + 1]
        first, second = torch.randperm(len(self.images), generator=self._draws)[:2].tolist()
        return self.images[first], self.images[second]

    def _before(self, pair: Pair) -> tuple[float, float]:
        """Adds the gradient of one pair to the network of voxels; returns similarity and regularization."""
        similarity, inconsistency = self.model.voxels.loss(pair.fixed, seen(pair, self.model.coarse))
        ((similarity + self.options.coarse_stiffness * inconsistency) / self.options.batch).backward()
        return float(similarity.detach()), float(inconsistency.detach())

    def _learn(self, pair: Pair) -> tuple[float, float]:
        """Adds the gradient of one pair; returns similarity and regularization."""
        o, pair = self.options, self.model.started(pair)
        shared, local = self.model.encoder(seen(pair, self.model.width))
        field = self.model.field_of(pair.fixed, shared[0].detach(), local[0].detach())
        field.networks = self.model.networks
        similarity = self._compare(field, pair)
        regularization = Regularization(field, o.regularization, o.regularized)(self._draws, both=True)
        total = o.stiffness * regularization + o.code_regularization * field.codes.penalty()
        (total / o.batch).backward()
        to_codes = (field.codes.shared.grad[None], field.codes.local.grad[None])
        torch.autograd.backward((shared, local), to_codes)
        return similarity, float(total.detach())

    def _compare(self, field: NeuralField, pair: Pair) -> float:
        o, total = self.options, 0.0
        for route, network in zip(pair.routes(o.similarity, o.blur, o.spacing), field.networks):
            learner = BlockNetwork(network, field.codes)
            term = SIMILARITIES[o.similarity](route, field.frame)
            total += term.learn(learner, o.samples, self._draws, 0.5 / o.batch) / 2
            learner.share()
        return total

    def save(self, folder: Path) -> None:
        """Writes the checkpoint."""
        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        state |= {**optimizer_tensors(self._adam), "draws": self._draws.get_state()}
        write_tensors(folder / CHECKPOINT, state, {"steps": self.steps, **self._facts()}, CHECKPOINT_FORM)

    def resume(self, folder: Path) -> None:
        """Goes on from the checkpoint of a folder."""
        tensors, content = read_tensors(folder / CHECKPOINT, CHECKPOINT_FORM)
        self._draws.set_state(tensors.pop("draws"))
        own = {n.removeprefix("model."): tensors.pop(n) for n in list(tensors) if n.startswith("model.")}
        self.model.load_state_dict(own)
        restore_optimizer(self._adam, tensors)
        self.steps = content["steps"]

    def finish(self, folder: Path, last: Step) -> None:
        """Writes the trained model with its last losses."""
        self.model.save(folder / NETWORK, {"steps": self.steps, "losses": vars(last), **self._facts()})

    def _facts(self) -> dict:
        return {"options": to_dict(self.options), "images": len(self.images)}


def train(trainer: Trainer, folder: Path, progress: Progress | None = None) -> Step:
    """Trains to the end of its steps, with a checkpoint now and then; returns the mean losses of the last tenth."""
    total, kept = trainer.options.iterations, []
    while trainer.steps < total:
        kept.append(trainer.step())
        last = kept[-1]
        if progress is not None:
            loss = last.similarity + last.regularization
            details = {"stage": "training", "level": 0, "iteration": trainer.steps - 1, "loss": loss}
            progress(trainer.steps / total, f"Training, step {trainer.steps} of {total}.", **details)
        if trainer.steps % trainer.options.checkpoint == 0:
            trainer.save(folder)
    tail = kept[-max(1, len(kept) // 10) :]
    mean = Step(*(sum(getattr(step, name) for step in tail) / len(tail) for name in ("similarity", "regularization")))
    trainer.save(folder)
    trainer.finish(folder, mean)
    return mean
