"""A sample for the module Sample Data: the chest of the analytic patient and an X-ray of it in another pose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.mrml.panel import sample_maker
from XRayPoseLib import carm

POSE = ("6", "-9", "4", "12", "25", "-8")  # rx ry rz tx ty tz, degrees and mm about the middle of the CT


def register(icons: Path, settings: Callable[[], Any]) -> None:
    """Adds the sample, where Slicer has the module Sample Data; settings: gives the panel's parameter node."""
    title = _("Chest and its X-ray (made on this computer)")
    thumbnail = icons / "ChestXRay.png"
    sample_maker.register(title, thumbnail, commands, lambda folder: load(folder, settings()))


def commands(folder: Path) -> list[list[str]]:
    """What `diffreg` has to do for the sample."""
    ct = str(folder / "patient" / "fixed_ct.nii.gz")
    radiograph = ["drr", ct, "-o", str(folder / "xray.nrrd"), "--write-geometry", str(folder / "geometry.json")]
    return [["phantom", str(folder / "patient"), "--noise", "0"], [*radiograph, "--pose", *POSE]]


def load(folder: Path, parameters: Any) -> list[Any]:
    """The CT and the X-ray as nodes, chosen in the panel with the C-arm that took it."""
    ct = slicer.util.loadVolume(str(folder / "patient" / "fixed_ct.nii.gz"), {"name": _("Chest"), "show": False})
    xray = slicer.util.loadVolume(str(folder / "xray.nrrd"), {"name": _("X-ray of the chest"), "show": False})
    slicer.util.setSliceViewerLayers(background=ct, foreground=None, label=None, fit=True)
    parameters.ct, parameters.xray_1, parameters.xray_2 = ct, xray, None
    parameters.imaging_line_integrals = True
    carm.from_file(parameters, folder / "geometry.json")
    return [ct, xray]
