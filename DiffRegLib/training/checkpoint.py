"""What a training has come to, and its file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.training.learner import Learner
from DiffRegLib.training.options import CHECKPOINT
from DiffRegLib.training.tensors import optimizer_tensors, read_tensors, restore_optimizer, write_tensors, write_whole

FORM = "a training of DiffReg, version 1"
TRACE = "trace.csv"


@dataclass
class State:
    """Steps so far with their losses, and the best validation with the weights that reached it.

    validations: loss by step. waited: validations since the best one. seconds: that all pieces of the training took.
    """

    names: tuple[str, ...] = ()
    rows: list[list[float]] = field(default_factory=list)
    best: float | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    waited: int = 0
    validations: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0
    optimizer: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, learner: Learner, stored: Stored | None) -> State:
        """The state at the beginning, or of a stored training, whose weights the learner takes."""
        if stored is None:
            return cls()
        parts = {part: stored.part(part) for part in ("weights", "best", "optimizer")}
        learner.load_state_dict(parts["weights"])
        content, rows = stored.content, stored.tensors["trace"].tolist()
        seen = {int(step): loss for step, loss in content["validations"]}
        return cls(
            names=tuple(content["names"]),
            rows=rows,
            best=content["best"],
            best_weights=parts["best"],
            waited=content["waited"],
            validations=seen,
            seconds=content["seconds"],
            optimizer=parts["optimizer"],
        )

    @property
    def steps(self) -> int:
        return len(self.rows)

    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Gives the optimizer what it had stored."""
        if self.optimizer:
            restore_optimizer(optimizer, self.optimizer)
            self.optimizer = {}

    def note(self, row: dict[str, float]) -> None:
        """Another step."""
        self.names = tuple(row)
        self.rows.append(list(row.values()))

    def compare(self, loss: float, learner: Learner) -> None:
        """A validation: keeps the weights where it is the best so far."""
        self.validations[self.steps] = loss
        self.waited += 1
        if self.best is None or loss < self.best:
            self.best, self.waited = loss, 0
            self.best_weights = {name: t.detach().cpu().clone() for name, t in learner.state_dict().items()}

    def take_best(self, learner: Learner) -> None:
        """Gives the learner the best validated weights, where there are such."""
        if self.best_weights:
            learner.load_state_dict(self.best_weights)

    def means(self, count: int) -> dict[str, float]:
        """Of the last steps, by name."""
        last = self.rows[-count:]
        return {name: math.fsum(row[n] for row in last) / len(last) for n, name in enumerate(self.names)}


@dataclass(frozen=True)
class Stored:
    """A checkpoint as it was read."""

    tensors: dict[str, Tensor]
    content: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with this word and a stop."""
        return {k[len(name) + 1 :]: t for k, t in self.tensors.items() if k.startswith(f"{name}.")}


def write_checkpoint(folder: Path, state: State, learner: Learner, optimizer: torch.optim.Optimizer) -> None:
    """Writes checkpoint and trace; each appears whole or not at all."""
    parts = {"weights": learner.state_dict(), "best": state.best_weights, "optimizer": optimizer_tensors(optimizer)}
    tensors = {f"{part}.{name}": t for part, found in parts.items() for name, t in found.items()}
    tensors["trace"] = torch.tensor(state.rows, dtype=torch.float64)
    content = {name: getattr(state, name) for name in ("names", "best", "waited", "seconds")}
    content |= {"validations": list(state.validations.items()), "identity": learner.identity()}
    write_tensors(folder / CHECKPOINT, tensors, content, FORM)
    write_whole(folder / TRACE, _table(state).encode())


def _table(state: State) -> str:
    """The trace as .csv, with the validations where there are some."""
    lines = [",".join(("iteration", *state.names, *(["validation"] if state.validations else [])))]
    for n, row in enumerate(state.rows, 1):
        found = [state.validations.get(n, math.nan)] if state.validations else []
        lines.append(",".join((str(n), *(f"{value:.9g}" for value in (*row, *found)))))
    return "\n".join(lines) + "\n"


def stored_options(folder: Path) -> dict[str, dict[str, Any]]:
    """Group -> name -> value with which the training of a folder began; raises RegistrationError without one."""
    return read_tensors(folder / CHECKPOINT, FORM)[1]["identity"]


def read_checkpoint(folder: Path, identity: dict[str, dict[str, Any]]) -> Stored:
    """The checkpoint of a folder; raises RegistrationError where it belongs to another training."""
    path = folder / CHECKPOINT
    tensors, content = read_tensors(path, FORM)
    for group, values in identity.items():
        for name, value in values.items():
            was = content["identity"].get(group, {}).get(name)
            if was == value:
                continue
            if group == "data":
                raise RegistrationError(f"{path} was trained on other {name}: name those to resume.", path=path)
            raise RegistrationError(
                f"{path} was trained with {{{name}}} {was}, not {value}: use that to resume.", option=name, path=path
            )
    return Stored(tensors, content)
