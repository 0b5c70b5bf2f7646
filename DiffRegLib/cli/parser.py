"""argparse with the manners of this command: one sentence for a wrong call, options as files with roles."""

from __future__ import annotations

import argparse
import re
import shutil
from typing import NoReturn

from DiffRegLib.errors import RegistrationError


class Parser(argparse.ArgumentParser):
    """Raises `RegistrationError` where argparse would print its usage and leave."""

    def __init__(self, **kwargs):
        width = min(shutil.get_terminal_size().columns, 110)
        formatter = lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=width)  # noqa: E731
        super().__init__(**{"formatter_class": formatter, "allow_abbrev": False, **kwargs})
        self._negative_number_matcher = re.compile(r"-\.?\d")  # with an exponent too, as Python does from 3.14 on

    def error(self, message: str) -> NoReturn:
        raise RegistrationError(f"{message}: see {self.prog} --help.")


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """The files that measure a transform."""
    group = parser.add_argument_group("landmarks and labels, for the evaluation")
    for kind, text in (
        ("landmarks", "corresponding points, row by row (.csv .npz[:key] .mrk.json .fcsv, RAS mm)"),
        ("labels", "label map for the Dice overlap"),
    ):
        for side in ("fixed", "moving"):
            group.add_argument(f"--{side}-{kind}", metavar="FILE", help=f"{text} of the {side} side")
