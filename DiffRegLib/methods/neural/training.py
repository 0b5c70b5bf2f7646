"""Amortized training: over many pairs, the encoder learns to predict the codes, the networks what the codes mean.

A step takes the gradient of the loss of instance optimization for each pair of a batch; what it says of the codes goes
on into the encoder. Where a network of voxels goes first, it learns alone for the first steps and is frozen then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.dense.random_motion import moved_image
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
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.options import to_dict, validate
from DiffRegLib.training.learner import Learner


class FieldLearner(Learner):
    """Learns a model on images.

    images: of one channel; registered in pairs, the first of a pair onto the second, see `NeuralTrainingOptions.pairs`.
    The first samples, `NeuralTrainingOptions.coarse` steps of them, go to the network of voxels.
    """

    def __init__(self, images: Sequence[Image], options: NeuralTrainingOptions) -> None:
        validate(options)
        if len(images) < (2 if options.moved < 1 else 1):
            raise RegistrationError(
                "Training takes at least two images: name more, or let {moved} be 1.", option="moved"
            )
        if len({image.shape[0] == 1 for image in images}) != 1:
            raise RegistrationError("Some images have one slice and others more: train on images of one kind.")
        if options.pairs == "listed" and len(images) % 2:
            raise RegistrationError("The number of images is odd, but {pairs} is listed: add one.", option="pairs")
        super().__init__(options.iterations, options.batch, options.seed)
        self.images, self.options = images, options
        dimension = 2 if images[0].shape[0] == 1 else 3
        size = Size(options.units, options.layers, options.frequencies, options.cycles)
        coarse = options.coarse_width if options.coarse else 0
        self.model = Model(dimension, options.width, size, options.seed, coarse)

    def forward(self, samples: Sequence[int]) -> dict[str, Tensor]:
        """Similarity and regularization, as means over their pairs."""
        rows = []
        with one_thread():
            for number in samples:
                draws = self.draws(number)
                pair = Pair(*(image.to(self.device) for image in self._pair(draws)))
                before = number < self.options.coarse * self.options.batch
                rows.append(self._before(pair) if before else self._learn(pair, draws))
        similarity, regularization = (torch.tensor(values).mean() for values in zip(*rows))
        loss = self._gathered() + similarity + regularization
        return {"loss": loss, "similarity": similarity, "regularization": regularization}

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.options.learning_rate)

    def identity(self) -> dict[str, dict[str, Any]]:
        """Options and images."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(image.data.cpu().contiguous().numpy().tobytes())
        training = {name: value for name, value in to_dict(self.options).items() if name != "iterations"}
        return {"training": training, "data": {"images": digest.hexdigest()}}

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the model."""
        self.model.save(path, facts)

    def _gathered(self) -> Tensor:
        """0, with the gradients that the pairs have left at the parameters as its own: they were added block by block,
        and the trainer takes them from a loss."""
        total = torch.zeros((), device=self.device)
        for parameter in self.parameters():
            if parameter.grad is not None:
                total = total + (parameter * parameter.grad).sum()
                parameter.grad = None
        return total - total.detach()

    def _pair(self, draws: torch.Generator) -> tuple[Image, Image]:
        o = self.options
        if o.moved and float(torch.rand((), generator=draws)) < o.moved:
            image = self.images[int(torch.randint(len(self.images), (), generator=draws))]
            return moved_image(image, o.motion, o.smoothness, draws), image
        if self.options.pairs == "listed":
            first = 2 * int(torch.randint(len(self.images) // 2, (), generator=draws))
            return self.images[first], self.images[first + 1]
        first, second = torch.randperm(len(self.images), generator=draws)[:2].tolist()
        return self.images[first], self.images[second]

    def _before(self, pair: Pair) -> tuple[float, float]:
        """Adds the gradient of one pair to the network of voxels; returns similarity and regularization."""
        similarity, inconsistency = self.model.voxels.loss(pair.fixed, seen(pair, self.model.coarse))
        ((similarity + self.options.coarse_stiffness * inconsistency) / self.options.batch).backward()
        return float(similarity.detach()), float(inconsistency.detach())

    def _learn(self, pair: Pair, draws: torch.Generator) -> tuple[float, float]:
        """Adds the gradient of one pair; returns similarity and regularization."""
        pair = self.model.started(pair)
        shared, local = (codes.float() for codes in self.model.encoder(seen(pair, self.model.width)))
        with torch.autocast(self.device.type, enabled=False):  # places in 16 bits would be off by whole voxels
            return self._descend(pair, shared, local, draws)

    def _descend(self, pair: Pair, shared: Tensor, local: Tensor, draws: torch.Generator) -> tuple[float, float]:
        """The same from the codes on, with the gradient that leads back into the encoder."""
        o = self.options
        field = self.model.field_of(pair.fixed, shared[0].detach(), local[0].detach())
        field.networks = self.model.networks
        similarity = self._compare(field, pair, draws)
        regularization = Regularization(field, o.regularization, o.regularized)(draws, both=True)
        total = o.stiffness * regularization + o.code_regularization * field.codes.penalty()
        (total / o.batch).backward()
        to_codes = (field.codes.shared.grad[None], field.codes.local.grad[None])
        torch.autograd.backward((shared, local), to_codes)
        return similarity, float(total.detach())

    def _compare(self, field: NeuralField, pair: Pair, draws: torch.Generator) -> float:
        o, total = self.options, 0.0
        for route, network in zip(pair.routes(o.similarity, o.blur, o.spacing), field.networks):
            learner = BlockNetwork(network, field.codes)
            term = SIMILARITIES[o.similarity](route, field.frame)
            total += term.learn(learner, o.samples, draws, 0.5 / o.batch) / 2
            learner.share()
        return total
