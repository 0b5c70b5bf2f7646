"""Samples for the module Sample Data that are made on this computer, in another process: nothing is downloaded."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import worker_environment
from DiffRegLib.mrml.panel import packages
from DiffRegLib.mrml.panel.job_process import python_program

CATEGORY = "DiffReg"

Commands = Callable[[Path], Sequence[Sequence[str]]]
"""From an empty folder to the arguments of `diffreg`, one command after the other, that fill it."""


def register(name: str, title: str, thumbnail: Path, commands: Commands, load: Callable[[Path], Any]) -> None:
    """Adds a sample, where Slicer has the module Sample Data; load: brings the content of the folder into the scene."""
    if importlib.util.find_spec("SampleData") is None:
        return
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("DiffReg"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=name,
        sampleDescription=title,
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
        self._process = qt.QProcess()
        environment = qt.QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._made)
        program, *arguments = command(self._left.pop(0))
        self._process.start(program, arguments)

    def _made(self, code: int, status: Any) -> None:
        if not code and self._left:
            self._next()
            return
        try:
            if code:
                sentence = _("{title} could not be made: see the application log.")
                slicer.util.errorDisplay(sentence.format(title=self._title))
                return
            self._load(self._folder)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self.running.discard(self)
