"""`diffreg VERB ... -o OUT`: registers by any method, of which its `METHOD` is all that is known."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from DiffRegLib.cli.inputs import add_inputs, given_inputs
from DiffRegLib.methods.method import Method
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import from_arguments, to_dict

CORE = "OUT gets transform.h5 and inverse.h5 (ITK), metrics.json, job.json and overview.png"

QUALITIES = {"fast", "balanced", "best"}
"""Where these are among the presets, they may be asked for as a quality."""


def add_arguments(parser: argparse.ArgumentParser, method: Method) -> None:
    """The flags of the verb: inputs, output, preset, and those of every group of options."""
    parser.description = f"{method.summary[0].upper()}{method.summary[1:]}. {CORE}."
    add_inputs(parser, method.inputs)
    add_output(parser)
    if method.presets:
        text = "options for a purpose; other flags go over them"
        names = ("--preset", "--quality") if set(method.presets) >= QUALITIES else ("--preset",)
        parser.add_argument(*names, choices=tuple(method.presets), help=text)
    for group, options in method.options.items():
        add_options(parser, options, f"options of {group}")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where the result goes."""
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="folder of the result, made at the end")
    parser.add_argument("--overwrite", action="store_true", help="replace the result in OUT once the new one is there")


def run(given: argparse.Namespace, method: Method) -> int:
    """Makes the job, runs it in a child process, and prints what the result is worth."""
    preset = method.presets.get(given.preset, {}) if method.presets else {}
    options = {group: to_dict(from_arguments(cls, given, preset.get(group))) for group, cls in method.options.items()}
    return register(given, method, given_inputs(given, method.inputs), options)


def register(
    given: argparse.Namespace, method: Method, inputs: Mapping[str, str], options: Mapping[str, Mapping[str, Any]]
) -> int:
    """Runs the job and shows its result."""
    from DiffRegLib.cli import execute
    from DiffRegLib.cli.metrics import show_result

    out, complete = execute.run_to(given.out, method.name, inputs, options, given.overwrite)
    if complete:
        print(f"{out} holds this very result already; nothing was run.")
    show_result(out)
    return 0
