"""`diffreg`: one verb a method, and what one does with files around it.

Every bad input ends with one sentence on the error output and exit code 2; Ctrl-C with 130 and nothing left behind.
A verb's module is imported when the verb is used, and what is heavy when its work begins.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from typing import Any

from DiffRegLib import __version__
from DiffRegLib.cli.crash import describe_crash
from DiffRegLib.cli.inputs import flag
from DiffRegLib.cli.parser import Parser
from DiffRegLib.errors import Cancelled, RegistrationError
from DiffRegLib.methods import methods
from DiffRegLib.methods.method import Method

VERBS = {
    "drr": "render radiographs of a CT: one view, a list of poses, a movie of a rotation",
    "train": "train what a method learns",
    "weights": "list trained weights, show what they are for, download them",
    "warp": "carry an image, label map, cloud, surface or landmarks through a transform",
    "info": "say what a file is: geometry, range, units, labels, what a transform holds",
    "evaluate": "measure a transform: landmark error, Dice, folded voxels",
    "review": "report whether registrations can be trusted: field, errors, limits, pictures",
    "mend": "bend a transform where pairs of points say that it is wrong",
    "phantom": "write an analytic breathing patient, whose motion is known exactly",
}
"""What one does around registrations; each verb has a module of its own."""

METHOD_WORDS = {"projective": "DiffRegLib.cli.pose"}
"""Modules of methods whose verbs need words of their own; `DiffRegLib.cli.register` knows the others."""

OK, BAD_INPUT, CRASHED, CANCELED = 0, 2, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb and returns the exit code: 0 done, 2 bad input, 3 unexpected failure, 130 canceled."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _interrupt_on_end()
        given = _parser(arguments).parse_args(arguments)
        return given.run(given)
    except RegistrationError as error:
        return _say(error.worded(flag), BAD_INPUT)
    except (KeyboardInterrupt, Cancelled):
        return _say("canceled, nothing was kept.", CANCELED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of a pipe (head, less) has seen enough
        return OK
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _say(f"{named}{error.strerror or error}: check name, permission and disk space.", BAD_INPUT)
    except MemoryError:
        return _say("There is not enough memory: use smaller files or a coarser grid.", BAD_INPUT)
    except Exception as error:
        return _say(describe_crash(error), CRASHED)


def _parser(arguments: list[str]) -> Parser:
    parser = Parser(
        prog="diffreg",
        description="Differentiable registration of medical images and point clouds. "
        "Coordinates are RAS millimeters; a transform maps a point of the fixed image to the moving image.",
    )
    parser.add_argument("--version", action="version", version=f"diffreg {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    chosen = arguments[0] if arguments else ""
    if chosen in VERBS:
        _add_own(verbs, chosen)
    elif method := _method_of(chosen):
        _add_method(verbs, method)
    elif chosen != "--version":  # help, or a word that is none: every verb is told
        for method in methods():
            _add_verb(verbs, method.verb, method.summary)
        for verb, help in VERBS.items():
            _add_verb(verbs, verb, help)
    return parser


def _method_of(verb: str) -> Method | None:
    return next((m for m in methods() if m.verb == verb), None) if verb and not verb.startswith("-") else None


def _add_own(verbs: Any, verb: str) -> None:
    module = importlib.import_module(f"DiffRegLib.cli.{verb}")
    one = _add_verb(verbs, verb, VERBS[verb])
    module.add_arguments(one)
    one.set_defaults(run=module.run)


def _add_method(verbs: Any, method: Method) -> None:
    module = importlib.import_module(METHOD_WORDS.get(method.name, "DiffRegLib.cli.register"))
    one = _add_verb(verbs, method.verb, method.summary)
    module.add_arguments(one, method)
    one.set_defaults(run=functools.partial(module.run, method=method))


def _add_verb(verbs: Any, verb: str, help: str) -> Parser:
    return verbs.add_parser(verb, help=help, description=f"{help[0].upper()}{help[1:]}.")


def _interrupt_on_end() -> None:
    """A closed terminal or a request to end is treated as Ctrl-C: everything is removed."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)


def _say(sentence: str, code: int) -> int:
    print(f"diffreg: {sentence}", file=sys.stderr, flush=True)
    return code
