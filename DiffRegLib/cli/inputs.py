"""The files that a method reads, as arguments of the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import ANY_NAME, check_input
from DiffRegLib.methods.method import Input


def add_inputs(parser: argparse.ArgumentParser, inputs: Sequence[Input]) -> None:
    """What is required by its place, the rest by a flag that is called as its role, under the heading of its group."""
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for entry in inputs:
        if entry.required:
            several = {"nargs": "+"} if entry.many else {}
            parser.add_argument(entry.role, metavar=entry.role.upper(), help=entry.help, **several)
            continue
        if entry.group not in groups:
            groups[entry.group] = parser.add_argument_group(entry.group)
        several = {"action": "append", "default": []} if entry.many else {}
        metavar = "NAME|FILE" if entry.kinds == ("weights",) else "FILE"
        groups[entry.group].add_argument(flag(entry.role), metavar=metavar, help=entry.help, **several)


def given_inputs(given: argparse.Namespace, inputs: Sequence[Input]) -> dict[str, str]:
    """Role -> path of every input that was given, numbered from 1 where there may be many, checked by name and kind."""
    found = {}
    for entry in inputs:
        value = getattr(given, entry.role)
        if not entry.many and value is not None:
            found[entry.role] = check(value, entry)
        for number, path in enumerate(value if entry.many else (), 1):
            found[f"{entry.role}_{number}"] = check(path, entry)
    return found


def check(path: str, entry: Input) -> str:
    """Returns the path, or raises `RegistrationError` where it is missing, unreadable or of another kind."""
    name = f"the {entry.role.replace('_', ' ')}" if entry.required else flag(entry.role)
    if entry.kinds == ("weights",):
        return check_weights(path, name)
    if set(entry.kinds) <= set(ANY_NAME):
        return check_file(path, name)
    return check_input(path, entry.kinds, name)


def check_weights(given: str, name: str) -> str:
    """Returns the path of weights that are given by their file, the folder of their training, or their known name."""
    from DiffRegLib.cli.weights import ask
    from DiffRegLib.training.options import NETWORK
    from DiffRegLib.training.registry import find_weights

    path = find_weights(given, ask)
    return check_file(os.path.join(path, NETWORK) if os.path.isdir(path) else path, name)


def check_file(path: str, name: str) -> str:
    """Returns the path of a file of any format, or raises RegistrationError where it cannot be read."""
    if not os.path.isfile(path):
        raise RegistrationError(f"{path} does not exist or is no file: check the name of {name}.", path=path)
    if not os.access(path, os.R_OK):
        raise RegistrationError(f"{path} may not be read: change its permissions.", path=path)
    return path


def flag(name: str) -> str:
    """What the command line calls an option, or an input that is not required."""
    return "--" + name.replace("_", "-")
