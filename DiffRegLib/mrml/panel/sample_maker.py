"""Samples for the module Sample Data that are made on this computer, in another process: nothing is downloaded."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.panel import packages
from DiffRegLib.mrml.panel.program import Program, python_program

CATEGORY = "DiffReg"

Commands = Callable[[Path], Sequence[Sequence[str]]]
"""From an empty folder to the arguments of `diffreg`, one command after the other, that fill it."""


def register(title: str, thumbnail: Path, commands: Commands, load: Callable[[Path], Any]) -> None:
    """Adds a sample, where Slicer has the module Sample Data; load: brings the content of the folder into the scene.

    title: what Slicer shows under the thumbnail, and scripts ask for.
    """
    if importlib.util.find_spec("SampleData") is None:
        return
    from SampleData import SampleDataLogic

    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):  # from Slicer 5.12 on
        SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("DiffReg"))
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=title,
        thumbnailFileName=str(thumbnail),
        uris="",
        fileNames="",
        nodeNames=title,
        customDownloader=lambda source: Maker(title, commands, load),
    )


def command(arguments: Sequence[str]) -> list[str]:
    """What runs `diffreg` with these arguments."""
    return [python_program(), "-m", "DiffRegLib", *arguments]


class Maker:
    """Runs the commands in other processes, then loads what they made."""

    running: set[Maker] = set()  # kept until they are done

    def __init__(self, title: str, commands: Commands, load: Callable[[Path], Any]) -> None:
        self._title, self._load = title, load
        self._program: Program | None = None
        try:
            packages.ensure(title)
        except RegistrationError as error:
            slicer.util.errorDisplay(str(error))
            return
        self.running.add(self)
        self._folder = Path(tempfile.mkdtemp(prefix="diffreg-", dir=slicer.app.temporaryPath))
        self._left = [list(command) for command in commands(self._folder)]
        slicer.util.showStatusMessage(_("Making: {title}...").format(title=title))
        self._next()

    def _next(self) -> None:
        self._program = Program(command(self._left.pop(0)), self._made)
        self._program.start()

    def _made(self, code: int | None) -> None:
        """code: None where the program did not start."""
        if code == 0 and self._left:
            self._next()
            return
        try:
            if code == 0:
                self._load(self._folder)
            else:
                self._fail(code)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self.running.discard(self)

    def _fail(self, code: int | None) -> None:
        if code is None:
            sentence = _("{title} could not be made: {program} did not start, check the installation.")
            slicer.util.errorDisplay(sentence.format(title=self._title, program=self._program.name))
            return
        logging.error("%s: exit code %d\n%s", self._title, code, self._program.complaints)
        slicer.util.errorDisplay(_("{title} could not be made: see the application log.").format(title=self._title))
