"""`diffreg train METHOD ... -o OUT`: trains what a method learns, of which its `Training` is all that is known."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from DiffRegLib.cli.inputs import add_inputs, given_inputs
from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods import method, methods
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import given as given_options
from DiffRegLib.training.ranks import first_process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A word for each method that learns, and below it the flags of its training."""
    words = parser.add_subparsers(dest="method", metavar="METHOD", required=True, title="methods")
    for one in methods():
        if one.train is not None:
            _add_method(words.add_parser(one.name, help=one.train.summary), one.train)


def _add_method(parser: argparse.ArgumentParser, training: Any) -> None:
    parser.description = (
        f"{training.summary[0].upper()}{training.summary[1:]}. OUT is a folder with checkpoints "
        "(checkpoint.safetensors, trace.csv) and in the end network.safetensors. Ctrl-C keeps the last checkpoint."
    )
    add_inputs(parser, training.inputs)
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="folder to make, or to go on with")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT, with its options")
    for group, options in training.options.items():
        add_options(parser, options, f"options of {group}")


def run(given: argparse.Namespace) -> int:
    """Trains, shows the loss, and prints where the weights are."""
    training = method(given.method).train
    inputs = given_inputs(given, training.inputs)
    options = {group: given_options(cls, given) for group, cls in training.options.items()}
    target, first = Path(os.path.abspath(given.out)), first_process()
    if first and not given.resume and os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise RegistrationError(f"{target} exists: choose another name, or go on from its checkpoint with --resume.")
    if not first:  # started by the first one, or beside it on another machine: it writes and tells
        training.load()(inputs, options, target, given.resume, lambda *_, **__: None)
        return 0
    from DiffRegLib.cli.show import progress_display
    from DiffRegLib.cli.training_folder import CANCELED, training_folder
    from DiffRegLib.jobs import Event

    begin = time.monotonic()
    try:
        with training_folder(target), progress_display() as show:

            def progress(fraction: float, message: str, **details: Any) -> None:
                show(Event(time.monotonic() - begin, fraction, message, **details))

            print(training.load()(inputs, options, target, given.resume, progress))
    except KeyboardInterrupt:
        return CANCELED
    return 0
