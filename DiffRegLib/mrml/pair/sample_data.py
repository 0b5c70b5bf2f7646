"""A sample for the module Sample Data: the analytic patient, made on this computer, nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.mrml.panel import sample_maker

FILES = {
    "fixed_ct.nii.gz": "Inspiration",
    "moving_ct.nii.gz": "Expiration",
    "fixed_landmarks.csv": "Inspiration landmarks",
    "moving_landmarks.csv": "Expiration landmarks",
}


def register(icons: Path) -> None:
    """Adds the sample, where Slicer has the module Sample Data."""
    title = _("Breathing patient (made on this computer)")
    sample_maker.register(title, icons / "BreathingPatient.png", commands, load)


def commands(folder: Path) -> list[list[str]]:
    """What `diffreg` has to do for the sample."""
    return [["phantom", str(folder / "patient")]]


def load(folder: Path) -> list[Any]:
    """The patient's images and landmarks as nodes."""
    nodes, folder = [], folder / "patient"
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
