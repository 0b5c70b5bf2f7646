"""`diffreg phantom FOLDER`: the analytic patient as files, to try every other verb on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from DiffRegLib.errors import RegistrationError
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import from_arguments
from DiffRegLib.phantom.options import PhantomOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    parser.add_argument("folder", metavar="FOLDER", help="folder to make; it must not exist or be empty")
    add_options(parser, PhantomOptions, "patient")


def run(given: argparse.Namespace) -> int:
    """Writes the phantom and prints the names of its files."""
    from DiffRegLib.cli.workspace import put, workspace
    from DiffRegLib.phantom import write_phantom

    options = from_arguments(PhantomOptions, given)
    target = Path(os.path.abspath(given.folder))
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise RegistrationError(f"{target} exists and is not an empty folder: choose another name.")
    with workspace(target) as space:
        made = space / "phantom"
        write_phantom(made, options)
        put(made, target, space)
    print(f"Wrote {target}: fixed is inspiration, moving is expiration.")
    for path in sorted(target.iterdir()):
        print(f"  {path.name}")
    return 0
