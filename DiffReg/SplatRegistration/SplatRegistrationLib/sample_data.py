"""A sample for the module Sample Data: the analytic patient, made on this computer, nothing is downloaded."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
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
FILES = {
    "fixed_ct.nii.gz": "Inspiration",
    "moving_ct.nii.gz": "Expiration",
    "fixed_landmarks.csv": "Inspiration landmarks",
    "moving_landmarks.csv": "Expiration landmarks",
}


def register(icons: Path) -> None:
    """Adds the sample, where Slicer has the module Sample Data."""
    if importlib.util.find_spec("SampleData") is None:
        return
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("DiffReg"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName="DiffRegBreathing",
        sampleDescription=_("Breathing patient (made on this computer)"),
        thumbnailFileName=str(icons / "BreathingPatient.png"),
        uris="",
        fileNames="",
        nodeNames=_("Inspiration"),
        customDownloader=lambda source: Maker(),
    )


class Maker:
    """Makes the patient in another process and loads it when that has ended."""

    running: set[Maker] = set()  # kept until they are done

    def __init__(self) -> None:
        try:
            packages.ensure(_("The breathing patient"))
        except RegistrationError as error:
            slicer.util.errorDisplay(str(error))
            return
        self.running.add(self)
        self._folder = Path(tempfile.mkdtemp(prefix="diffreg-", dir=slicer.app.temporaryPath))
        self._process = qt.QProcess()
        environment = qt.QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._made)
        slicer.util.showStatusMessage(_("Making the breathing patient..."))
        program, *arguments = command(self._folder / "patient")
        self._process.start(program, arguments)

    def _made(self, code: int, status: Any) -> None:
        try:
            if code:
                slicer.util.errorDisplay(_("The breathing patient could not be made: see the application log."))
                return
            load(self._folder / "patient")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self.running.discard(self)


def command(folder: Path) -> list[str]:
    """What makes the patient in `folder`."""
    return [python_program(), "-m", "DiffRegLib", "phantom", str(folder)]


def load(folder: Path) -> list[Any]:
    """The patient's images and landmarks as nodes."""
    nodes = []
    for file, name in FILES.items():
        if file.endswith(".csv"):
            nodes.append(_load_landmarks(folder / file, _(name)))
        else:
            nodes.append(slicer.util.loadVolume(str(folder / file), {"name": _(name), "show": False}))
    slicer.util.setSliceViewerLayers(background=nodes[0], foreground=None, label=None, fit=True)
    return nodes


def _load_landmarks(path: Path, name: str) -> Any:
    """Control points from a table with the columns x, y and z in RAS mm."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    header, *rows = [line.split(",") for line in path.read_text().split()]
    columns = [header.index(axis) for axis in "xyz"]
    for number, row in enumerate(rows, 1):
        node.AddControlPoint([float(row[column]) for column in columns], str(number))
    node.GetDisplayNode().SetVisibility(False)
    return node
