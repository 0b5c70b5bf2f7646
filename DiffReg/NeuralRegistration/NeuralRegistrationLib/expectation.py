"""What a run will take, in words, before it starts."""

from __future__ import annotations

import os
from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.neural.estimate import expected
from DiffRegLib.mrml.panel.option_parameters import read_options

MINUTE = 90  # seconds from which minutes are told
MIB_A_GB = 953.67


def words(parameters: Any) -> str:
    """A sentence on time and memory for the images that are chosen; empty where there is nothing to tell."""
    volumes = [node for node in (parameters.fixed, parameters.moving) if _is_volume(node)]
    if len(volumes) < 2:
        return ""
    try:
        options = read_options(parameters, parameters.method.options)["neural"]
    except RegistrationError:
        return ""
    counts = [_voxels(node) for node in volumes]
    spacing = sum(volumes[0].GetSpacing()) / 3
    found = expected(_as_options(options), *counts, spacing, os.cpu_count() or 1)
    return _("About {time} and {memory:.1f} GB of memory for this pair.").format(
        time=_time(found.seconds), memory=found.memory / MIB_A_GB
    )


def _as_options(options: Any) -> Any:
    from DiffRegLib.methods.neural.options import NeuralOptions
    from DiffRegLib.options import from_dict

    return from_dict(NeuralOptions, options)


def _is_volume(node: Any) -> bool:
    return node is not None and node.IsA("vtkMRMLScalarVolumeNode") and node.GetImageData() is not None


def _voxels(node: Any) -> int:
    width, height, depth = node.GetImageData().GetDimensions()
    return width * height * depth


def _time(seconds: float) -> str:
    if seconds < MINUTE:
        return _("{seconds} s").format(seconds=max(5, round(seconds / 5) * 5))
    return _("{minutes} min").format(minutes=round(seconds / 60))
