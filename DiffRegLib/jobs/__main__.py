"""`python -m DiffRegLib.jobs run FOLDER`: the worker process of one job."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Runs the job of a folder; see `DiffRegLib.jobs.worker` for output and exit codes."""
    parser = argparse.ArgumentParser(prog="python -m DiffRegLib.jobs")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    run = verbs.add_parser("run", help="run the job of a folder and print its progress, one JSON object a line")
    run.add_argument("folder", metavar="FOLDER", help="folder that holds job.json")
    run.add_argument("--attached", action="store_true", help="end when the standard input is closed")
    run.add_argument("--temporary", action="store_true", help="with --attached: remove FOLDER too when that happens")
    given = parser.parse_args(arguments)

    from DiffRegLib.jobs.worker import run_worker

    return run_worker(given.folder, attached=given.attached, temporary=given.temporary)


if __name__ == "__main__":
    sys.exit(main())
