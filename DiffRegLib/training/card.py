"""The card of trained weights: what they are for, what they learned from, and what they reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError


@dataclass(frozen=True)
class Card:
    """Goes with the weights in their header, and beside them as text.

    name: what the registry calls them. data: what they learned from. command: that trained them. scores: what was
    measured -> what came of it. hours: of training, and machine: on what. version: of the library that wrote them; one
    at least as new reads them.
    """

    name: str
    method: str
    summary: str
    data: str
    command: str
    seed: int
    scores: Mapping[str, str]
    license: str
    intended_use: str
    hours: str
    machine: str
    version: str
    limits: str = ""
    more: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = [f.name for f in fields(self) if f.name not in ("limits", "more") and getattr(self, f.name) in ("", {})]
        if empty:
            raise RegistrationError(f"The card of {self.name or 'the weights'} lacks {', '.join(empty)}: fill it in.")

    def text(self) -> str:
        """Markdown."""
        rows = [("method", self.method), ("learned from", self.data), ("seed", self.seed), ("time", self.hours)]
        rows += [("machine", self.machine), ("license", self.license), ("reads it", f"DiffReg {self.version} or later")]
        table = "\n".join(f"| {name} | {value} |" for name, value in [*rows, *self.more.items()])
        scores = "\n".join(f"| {name} | {value} |" for name, value in self.scores.items())
        parts = [
            f"# {self.name}",
            self.summary,
            f"| | |\n|---|---|\n{table}",
            f"## Intended use\n\n{self.intended_use}",
            *([f"## Limits\n\n{self.limits}"] if self.limits else []),
            f"## Measured\n\n| what | reached |\n|---|---|\n{scores}",
            f"## Command\n\n```\n{self.command}\n```",
        ]
        return "\n\n".join(parts) + "\n"


def read_card(path: Path) -> Card | None:
    """The card in the header of weights, or None where they have none; no tensor is read."""
    content = _header(path)[1]
    return Card(**content["card"]) if "card" in content else None


def put_card(path: Path, card: Card, target: Path) -> None:
    """Writes the weights with this card into another file, and the card as text beside it."""
    from DiffRegLib.training.tensors import read_tensors, write_tensors, write_whole

    form, _ = _header(path)
    tensors, content = read_tensors(path, form)
    write_tensors(target, tensors, {**content, "card": asdict(card)}, form)
    write_whole(target.with_suffix(".md"), card.text().encode())


def _header(path: Path) -> tuple[str, dict[str, Any]]:
    """Form and JSON of a file of ours."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
        return metadata["format"], json.loads(metadata["content"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RegistrationError(
            f"{path} holds no weights of DiffReg: name a file of diffreg train.", path=path
        ) from error
