"""The training of all methods: steps, a trace, checkpoints from which it goes on exactly, an early end."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.options import validate
from DiffRegLib.training.checkpoint import State, read_checkpoint, write_checkpoint
from DiffRegLib.training.fabric import start_fabric
from DiffRegLib.training.learner import Learner
from DiffRegLib.training.options import NETWORK, RunOptions

RECENT = 100  # steps over which the last losses are averaged


def train(
    learner: Learner,
    options: RunOptions,
    folder: Path,
    facts: dict[str, Any],
    resume: bool = False,
    progress: Callable[..., None] | None = None,
) -> dict[str, float]:
    """Trains into `folder` and returns the means of the last 100 steps.

    folder: is there; checkpoints go into it while it trains, the weights in the end. facts: JSON that goes with the
    weights. resume: goes on from its checkpoint; raises RegistrationError where that is of another training.
    What `progress` raises ends the training at its last checkpoint.
    """
    validate(options)
    run = _Run(learner, options, folder, resume)
    while run.state.steps < learner.iterations and not run.stalled:
        row = run.step()
        if run.state.steps % options.checkpoint == 0 or run.state.steps == learner.iterations:
            run.keep()
        if progress is not None and run.first:
            done = run.state.steps
            progress(done / learner.iterations, "Training.", stage="training", iteration=done, loss=row["loss"])
    return run.finish(facts)


class _Run:
    def __init__(self, learner: Learner, options: RunOptions, folder: Path, resume: bool) -> None:
        self.learner, self.options, self.folder = learner, options, folder
        self.state = State.of(learner, read_checkpoint(folder, learner.identity()) if resume else None)
        self.fabric = start_fabric(options, folder)
        self.first = self.fabric.global_rank == 0
        self._begin = time.monotonic() - self.state.seconds
        self.module, self.optimizer = self.fabric.setup(learner, learner.optimizer())
        self.state.restore(self.optimizer)

    @property
    def stalled(self) -> bool:
        """Whether validation has not become better for as long as was asked."""
        patience = self.options.patience
        return patience > 0 and self.state.waited >= patience

    def step(self) -> dict[str, float]:
        """One iteration; its losses are means over all processes."""
        iteration, learner = self.state.steps, self.learner
        rate = learner.rate(iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = group["lr"] if rate is None else rate
        self.optimizer.zero_grad()
        with torch.random.fork_rng([]):
            samples = self._samples(iteration)
            torch.manual_seed(learner.draws(samples[0]).initial_seed())  # of what drops out
            losses = self.module(samples)
        row = {name: float(self.fabric.all_reduce(value.detach().double())) for name, value in losses.items()}
        if not torch.tensor(row["loss"]).isfinite():
            raise RegistrationError(
                f"The loss is {row['loss']} at step {iteration + 1}: use a lower {{learning_rate}}.",
                option="learning_rate",
            )
        self.fabric.backward(losses["loss"])
        if learner.clip:
            self.fabric.clip_gradients(self.module, self.optimizer, max_norm=learner.clip, error_if_nonfinite=False)
        self.optimizer.step()
        row["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        self.state.note(row)
        if self.fabric.loggers:
            self.fabric.log_dict(row, iteration + 1)
        return row

    def _samples(self, iteration: int) -> list[int]:
        """The numbers of the samples of this process."""
        batch, count = self.learner.batch, self.fabric.world_size
        first = (iteration * count + self.fabric.global_rank) * batch
        return list(range(first, first + batch))

    def keep(self) -> None:
        """Validates where it is time for it, and writes the checkpoint and the trace; both appear whole."""
        steps, every = self.state.steps, self.options.checkpoint * self.options.validated
        loss = self._validated() if steps % every == 0 or steps == self.learner.iterations else None
        if loss is not None:
            self.state.compare(loss, self.learner)
            if self.fabric.loggers:
                self.fabric.log_dict({"validation": loss}, steps)
        self.state.seconds = time.monotonic() - self._begin
        if self.first:
            write_checkpoint(self.folder, self.state, self.learner, self.optimizer)
        self.fabric.barrier()

    @torch.no_grad()
    def _validated(self) -> float | None:
        self.learner.eval()
        loss = self.learner.validation()
        self.learner.train()
        return loss

    def finish(self, facts: dict[str, Any]) -> dict[str, float]:
        """Writes the weights, the best validated ones where there are such; returns the means of the last steps."""
        means = self.state.means(RECENT)
        if self.first:
            self.state.take_best(self.learner)
            run = {"hours": round(self.state.seconds / 3600, 2), "machine": machine(self.fabric.device)}
            run |= {"steps": self.state.steps, "last_losses": means, "identity": self.learner.identity()}
            best = {} if self.state.best is None else {"validation": self.state.best}
            self.learner.write(self.folder / NETWORK, {**facts, **run, **best})
        self.fabric.barrier()
        return means


def machine(device: torch.device) -> str:
    """What computes, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} of {os.cpu_count()} cores, {platform.machine()}"
