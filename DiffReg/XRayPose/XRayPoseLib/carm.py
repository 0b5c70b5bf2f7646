"""The C-arm section: where the settings of a view come from, and the cameras that they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.panel.messages import label_of, words
from DiffRegLib.mrml.panel.option_parameters import from_parameter, parameter_name, to_parameter
from DiffRegLib.mrml.seen import name_of
from DiffRegLib.mrml.xray.seen import size_of
from DiffRegLib.options import from_dict, option_fields
from DiffRegLib.radiographs.options import NEEDED, CArmOptions
from XRayPoseLib.parameters import LABELS, xrays

PRESETS = {
    "Mobile C-arm": CArmOptions(distance=1000.0, isocenter_distance=600.0),
    "C-arm of an angiography suite": CArmOptions(distance=1200.0, isocenter_distance=765.0),
    "Radiograph at a wall stand": CArmOptions(distance=1800.0, isocenter_distance=1550.0),
}
"""Distances that are usual; the true ones are in the DICOM file or the manual. Pixels have to be measured."""


def read(parameters: Any, number: int) -> CArmOptions:
    """What is typed for a view; raises RegistrationError for text that is no number."""
    group = f"view_{number}"
    fields = option_fields(CArmOptions)
    values = {f.name: from_parameter(f, parameters.getValue(parameter_name(group, f))) for f in fields}
    return from_dict(CArmOptions, values)


def write(parameters: Any, number: int, options: CArmOptions) -> None:
    """Types a view."""
    for field in option_fields(CArmOptions):
        value = to_parameter(field, getattr(options, field.name))
        parameters.setValue(parameter_name(f"view_{number}", field), value)


def apply_preset(parameters: Any, name: str) -> None:
    """Sets the distances of every view; pixels, angles and isocenter stay."""
    preset = PRESETS[name]
    for number, _node in xrays(parameters):
        kept = read(parameters, number)
        write(
            parameters,
            number,
            replace(kept, distance=preset.distance, isocenter_distance=preset.isocenter_distance),
        )


def center_of(ct: Any) -> np.ndarray:
    """(3,) the middle of a volume in its own RAS mm, without the transforms that it is under."""
    size = ct.GetImageData().GetDimensions()
    middle = [(n - 1) / 2 for n in size]
    return (arrays.ijk_to_ras(ct) @ [*middle, 1])[:3]


def cameras(parameters: Any) -> list[Any]:
    """The cameras of the chosen X-rays; raises RegistrationError that names what is missing. Needs torch."""
    import torch

    from DiffRegLib.radiographs.carm import camera_of

    center = torch.from_numpy(center_of(parameters.ct))
    return [
        camera_of(read(parameters, number), size_of(node), center, name_of(node)) for number, node in xrays(parameters)
    ]


def faulty_field(parameters: Any) -> tuple[str, str]:
    """The parameter of the first setting of a view that is missing or cannot be, and a sentence; empty without one.

    Quick, and without torch: fit for every change of a setting.
    """
    for number, node in xrays(parameters):
        name, sentence = _fault(parameters, number, name_of(node))
        if sentence:
            return f"view_{number}_{name}", sentence
    return "", ""


def _fault(parameters: Any, number: int, xray: str) -> tuple[str, str]:
    for field in option_fields(CArmOptions):
        text = parameters.getValue(parameter_name(f"view_{number}", field))
        try:
            value = from_parameter(field, text)
            from_dict(CArmOptions, {field.name: value})
        except RegistrationError as error:
            return field.name, f"{xray}: {words(error)}"
        if value is not None and not np.isfinite(value).all():
            return field.name, _("{name}: {field} is {text!r}: give finite numbers.").format(
                name=xray, field=label_of(field.name), text=text
            )
    typed = read(parameters, number)
    for name, (what, tag) in NEEDED.items():
        if not getattr(typed, name) > 0:
            text = _("{name} lacks {what}: type it in the C-arm section (in DICOM: {tag}).")
            return name, text.format(name=xray, what=_(what), tag=tag)
    if not typed.isocenter_distance < typed.distance:
        text = _("{name} has its isocenter {near:g} mm from the source and its detector at {far:g} mm: correct one.")
        return "isocenter_distance", text.format(name=xray, near=typed.isocenter_distance, far=typed.distance)
    if len(typed.isocenter) not in (0, 3):
        text = _("{name} has {n} numbers as isocenter: give R, A and S, or none.")
        return "isocenter", text.format(name=xray, n=len(typed.isocenter))
    return "", ""


def from_dicom(parameters: Any) -> list[str]:
    """Types every view whose node has the DICOM tags for it; returns a sentence for each that has not."""
    import torch

    from DiffRegLib.camera import from_dicom as camera_from_dicom
    from DiffRegLib.camera import table_moves
    from DiffRegLib.mrml.xray.nodes import dicom_tags
    from DiffRegLib.radiographs.carm import options_of

    center, faults, chosen = torch.from_numpy(center_of(parameters.ct)), [], xrays(parameters)
    try:
        moves = table_moves([dicom_tags(node) for _number, node in chosen], [name_of(node) for _number, node in chosen])
    except RegistrationError as error:
        return [words(error, LABELS)]
    for (number, node), move in zip(chosen, moves):
        try:
            camera = camera_from_dicom(dicom_tags(node), size_of(node), center - move, name_of(node))
        except RegistrationError as error:
            faults.append(words(error, LABELS))
            continue
        write(parameters, number, options_of(camera, center))
    return faults


def from_file(parameters: Any, path: str | Path) -> Any:
    """Types the views of a geometry file; returns the pose (4,4) of the patient in it, or None.

    Raises RegistrationError that names the file.
    """
    import torch

    from DiffRegLib.camera import read_geometry
    from DiffRegLib.radiographs.carm import options_of

    center, chosen = torch.from_numpy(center_of(parameters.ct)), xrays(parameters)
    placements = read_geometry(path, [size_of(node) for _number, node in chosen])
    for (number, _node), placement in zip(chosen, placements):
        write(parameters, number, options_of(placement.camera, center))
    poses = [p.pose.numpy() for p in placements if p.pose is not None]
    return poses[0] if poses else None


def title(number: int) -> str:
    return _("X-ray {number}").format(number=number)
