"""`diffreg weights`: which trained weights there are, the card of one, and its download."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from DiffRegLib.errors import RegistrationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A name or a file, and what to do with it."""
    parser.description = (
        "List the trained weights that are known by name, or show the card of one: what it learned from, what it "
        "reached, its license. Weights that lie at an address are downloaded, after asking, and checked by SHA-256."
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME|FILE", help="known weights, or a file; without, all are listed"
    )
    parser.add_argument("--yes", action="store_true", help="download without asking")
    parser.add_argument("--card", metavar="CARD.json", help="put this card into FILE: a name for each line of a card")
    parser.add_argument("-o", "--out", metavar="FILE", help="where the weights with their card go, its text beside it")


def run(given: argparse.Namespace) -> int:
    """Prints the list, or a card."""
    if given.card or given.out:
        _publish(given)
    elif given.name is None:
        _list()
    else:
        _show(given.name, given.yes)
    return 0


def ask(question: str) -> bool:
    """Asks at the terminal; where nobody can answer, the answer is no."""
    return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _list() -> None:
    from DiffRegLib.training.registry import OWN, known_weights

    known = known_weights()
    for name, weights in known.items():
        print(f"{name:20} {weights.method:12} {weights.title}{'' if weights.here else ' (to be downloaded)'}")
    if not known:
        print(f"No weights are known; {OWN} names folders with a weights.json.")


def _show(name: str, yes: bool) -> None:
    from DiffRegLib.training.card import read_card
    from DiffRegLib.training.options import NETWORK
    from DiffRegLib.training.registry import find_weights

    path = Path(find_weights(name, (lambda _: True) if yes else ask))
    path = path / NETWORK if path.is_dir() else path
    card = read_card(path)
    print(card.text() if card else f"{path} has no card.")


def _publish(given: argparse.Namespace) -> None:
    import json

    from DiffRegLib.files.text import read_text
    from DiffRegLib.training.card import Card, put_card

    if not (given.name and given.card and given.out):
        raise RegistrationError("A card is put into FILE and written to {out}: give all three.", option="out")
    try:
        card = Card(**json.loads(read_text(given.card)))
    except (TypeError, ValueError) as error:
        raise RegistrationError(
            f"{given.card} is no card ({error}): give JSON with its fields.", path=given.card
        ) from error
    put_card(Path(given.name), card, Path(given.out))
    print(f"Wrote {given.out} and its card.")
