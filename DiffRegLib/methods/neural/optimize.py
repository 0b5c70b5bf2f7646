"""Instance optimization: Adam on the networks and codes of a field for one pair, from coarse to fine."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.neural.field import FORWARD, NeuralField
from DiffRegLib.methods.neural.fused import BlockNetwork
from DiffRegLib.methods.neural.loss import SIMILARITIES, FeatureDifference, Regularization
from DiffRegLib.methods.neural.options import NeuralOptions
from DiffRegLib.methods.neural.prepare import Pair
from DiffRegLib.methods.registration import Meter, TraceRow
from DiffRegLib.ops.threads import one_thread, threads

WARM_UP = 20
"""Steps over which the learning rate rises."""
BETAS = (0.9, 0.98)
SMOOTHING = 0.9
"""Of the running mean of the loss by which a plateau is told."""
JUDGED = 20_000
"""Points at which the result is compared with its start."""
GAIN = 1e-3
"""Share of the loss that counts as gain."""
PULL = 1e-3
"""1/mm2: the factor of the landmarks' squared distances at a weight of 1. Of equal images that say otherwise, two
landmarks 5 mm off are left 1.2 and 0.6 mm off by the preset "balanced"; with a tenth of it 1.8 and 0.9 mm."""


@dataclass(frozen=True)
class Level:
    """One level of the schedule; blur and spacing in mm."""

    number: int
    blur: float
    spacing: float
    iterations: int
    samples: int


def levels(options: NeuralOptions) -> list[Level]:
    """The schedule of the options."""
    columns = zip(options.blurs, options.spacings, options.iterations, options.samples, strict=True)
    return [Level(number, *values) for number, values in enumerate(columns)]


class InstanceOptimization:
    """Fits a field to a pair.

    landmarks: (N, 3) of the fixed and of the moving side in RAS mm, a term where the options give it a weight.
    watch: called after each step, for a preview.
    """

    def __init__(
        self,
        field: NeuralField,
        pair: Pair,
        options: NeuralOptions,
        landmarks: tuple[Tensor, Tensor] | None = None,
        watch: Callable[[NeuralField], None] | None = None,
    ) -> None:
        self.field, self.options, self.trace = field, options, []
        self._pair, self._landmarks, self._watch = pair, landmarks, watch
        self._networks = [BlockNetwork(network, field.codes) for network in field.networks]
        self._regularization = Regularization(field, options.regularization, options.regularized)
        self._draws = [torch.Generator().manual_seed(3 * options.seed + n) for n in range(3)]
        self._second: ThreadPoolExecutor | None = None
        self._adam = torch.optim.Adam(field.parameters(), betas=BETAS)
        self._terms: list[FeatureDifference] = []
        self._steps, self._total = 0, max(1, sum(options.iterations))
        self._ends = time.monotonic() + options.seconds if options.seconds else float("inf")

    def run(self, meter: Meter) -> tuple[TraceRow, ...]:
        """Goes through all levels, or until time is up; returns the trace."""
        with ExitStack() as stack:
            if threads() > 1:
                second = ThreadPoolExecutor(1, "neural", initializer=torch.set_num_threads, initargs=(1,))
                self._second = stack.enter_context(second)
            for level in levels(self.options):
                if time.monotonic() < self._ends and level.iterations:
                    self._level(level, meter)
                else:
                    self._steps += level.iterations
                    meter.step("The time is up.", level.iterations)
        return tuple(self.trace)

    def judge(self) -> tuple[float, float]:
        """The dissimilarity of the last level as it was before the field, and with the field, at the same points."""
        found = []
        for networks in ((None, None), self._networks):
            draws = torch.Generator().manual_seed(self.options.seed)
            losses = [term.value(network, JUDGED, draws) for term, network in zip(self._terms, networks)]
            found.append(sum(losses) / max(1, len(losses)))
        return found[0], found[1]

    def _level(self, level: Level, meter: Meter) -> None:
        meter.step(f"Preparing both images at a blur of {level.blur:g} mm.", 0)
        routes = self._pair.routes(self.options.similarity, level.blur, level.spacing)
        routes = [route.to(self.field.device) for route in routes]
        terms = self._terms = [SIMILARITIES[self.options.similarity](route, self.field.frame) for route in routes]
        best, since, running = float("inf"), 0, None
        for iteration in range(level.iterations):
            row = self._step(level, iteration, terms)
            loss = row.similarity + row.regularization
            running = loss if running is None else SMOOTHING * running + (1 - SMOOTHING) * loss
            best, since = (running, 0) if running < best * (1 - GAIN) else (best, since + 1)
            self.trace.append(row)
            meter.step(f"Optimizing at a blur of {level.blur:g} mm.", row=row)
            if self._watch is not None:
                self._watch(self.field)
            if time.monotonic() > self._ends or 0 < self.options.plateau <= since:
                left = level.iterations - iteration - 1
                self._steps += left
                meter.step("This level gains no more.", left)
                break

    def _step(self, level: Level, iteration: int, terms: list[FeatureDifference]) -> TraceRow:
        rate = self._rate()
        self._adam.param_groups[0]["lr"] = rate
        self._adam.zero_grad(set_to_none=False)
        with one_thread():
            learned = [self._learned(term, n, level.samples) for n, term in reversed(list(enumerate(terms)))]
            others = self._others()
            parameters = list(self.field.parameters())
            gradients = torch.autograd.grad(others, parameters, allow_unused=True)
            similarity = sum(loss() for loss in learned) / 2
            for network in self._networks:
                network.share()
            for parameter, gradient in zip(parameters, gradients):
                if gradient is not None:
                    parameter.grad += gradient
            self._adam.step()
        self._steps += 1
        stage = f"blur of {level.blur:g} mm"  # each level compares other features
        return TraceRow(level.number, iteration, similarity, float(others.detach()), rate, stage)

    def _learned(self, term: FeatureDifference, number: int, samples: int) -> Callable[[], float]:
        """Lets a network learn, the second one beside the first where there is a thread for it; waits for its loss."""
        work = (self._networks[number], samples, self._draws[number], 0.5)
        if self._second is not None and number:
            return self._second.submit(term.learn, *work).result
        loss = term.learn(*work)
        return lambda: loss

    def _rate(self) -> float:
        """Rises at first, then falls exponentially."""
        decay = self.options.last_rate ** (self._steps / self._total)
        return self.options.learning_rate * decay * min(1.0, (self._steps + 1) / WARM_UP)

    def _others(self) -> Tensor:
        """Regularization, length of the codes, and landmarks."""
        total = self.options.code_regularization * self.field.codes.penalty()
        if self.options.stiffness:
            total = total + self.options.stiffness * self._regularization(self._draws[2])
        if self._landmarks is not None and self.options.landmark_weight:
            total = total + PULL * self.options.landmark_weight * self._distance(*self._landmarks)
        return total

    def _distance(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Mean squared distance in mm2 of the fixed landmarks, moved, from their counterparts."""
        fixed = fixed.float().to(self.field.device)
        inner = self.field.frame.inward(fixed)
        moved = fixed + self.field.frame.outward(self.field.stack(inner[None], FORWARD)[0])
        if self._pair.initial is not None:
            moved = self._pair.initial.to(moved.device)(moved)
        return ((moved - moving.to(moved)) ** 2).sum(1).mean()
