"""Pose estimation from opened files: a CT and X-rays in, a pose and the evidence for it out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from DiffRegLib.files import write_image
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.estimation import register
from DiffRegLib.methods.projective.motion import turn_degrees
from DiffRegLib.methods.projective.start import PoseInput, read_input
from DiffRegLib.methods.registration import Part, Progress, Registration
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.projection import project
from DiffRegLib.review.radiographs import RadiographPair, pose_overview
from DiffRegLib.transforms import Affine, rigid_parameters

if TYPE_CHECKING:
    from DiffRegLib.camera import Camera
    from DiffRegLib.methods.projective.result import PoseRegistration
    from DiffRegLib.radiographs.radiograph import Radiograph

OVERVIEW, DRR = "overview.png", "drr_{}.nrrd"
READ, REGISTERED = 0.03, 0.97  # of the progress, where reading and estimation end
WIDEST = 1024  # pixels of a radiograph as an image, at most
SHOWN = 512  # pixels of a radiograph in the picture, at most


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Estimates the pose; see `DiffRegLib.methods.method.Method`.

    Writes a radiograph of the CT for each view, and the picture. The pose's matrix, verdict and uncertainty are the
    `metrics` of what is returned, see `describe`.
    """
    pose, imaging = options["pose"], options["imaging"]
    if "network" in inputs:
        pose = dataclasses.replace(pose, network=inputs["network"].path)
    given = read_input(inputs, imaging, options["start"].pose, pose.polarity)
    stated, radiographs = pose.polarity, given.xrays
    if stated != "auto":  # the radiographs were brought to it: what absorbs more is bright in them
        pose = dataclasses.replace(pose, polarity="positive")
        radiographs = tuple(dataclasses.replace(xray, sign=1) for xray in given.xrays)
    progress(READ, f"Estimating the pose, {given.note}.")
    volume = attenuation(given.ct, imaging.water)
    found = register(volume, radiographs, pose, given.start, Part(progress, READ, REGISTERED), given.organ)
    placed = [dataclasses.replace(xray, camera=camera) for xray, camera in zip(given.xrays, found.cameras)]
    for number, xray in enumerate(placed, 1):
        write_image(radiograph(volume, found.pose, xray.camera), folder / DRR.format(number))
    progress(REGISTERED, "Drawing the overview.")
    facts = describe(found, given)
    if stated != "auto":
        facts["polarity"] = stated
    pose_overview(
        folder / OVERVIEW,
        [_pair(xray, volume, given.start, found.pose) for xray in placed],
        title=f"{Path(inputs['ct'].path).name} onto {', '.join(Path(x.name).name for x in given.xrays)}",
        note=f"{_note(facts)}; {found.provenance.seconds:.1f} s",
        trace=found.trace,
    )
    return dataclasses.replace(found, metrics=facts)


def evidence(inputs: Mapping[str, Any], options: Mapping[str, Any], end: Affine) -> list[tuple[RadiographPair, Camera]]:
    """What a finished pose looks like on each X-ray, for a review, with the camera of the picture's pixels.

    inputs, options: those of the registration. end: the pose that it found.
    """
    given = read_input(inputs, options["imaging"], options["start"].pose)
    volume = attenuation(given.ct, options["imaging"].water)
    cameras = [xray.camera.resized(_factor(xray)) for xray in given.xrays]
    return [(_pair(xray, volume, given.start, end), camera) for xray, camera in zip(given.xrays, cameras)]


def describe(registration: PoseRegistration, given: PoseInput) -> dict[str, Any]:
    """What `metrics.json` holds of a pose; lengths in mm, angles in degrees."""
    center = given.ct.center
    end = registration.pose
    between = Affine(end.matrix @ torch.linalg.inv(given.start.matrix))
    shift = end(center) - given.start(center)
    return {
        "verdict": registration.verdict,
        "reason": registration.reason,
        "remedy": registration.remedy,
        "start": _described(given.start, center),
        "start_note": given.note,
        "end": _described(end, center),
        "change": {
            "degrees": turn_degrees(between.matrix),
            "mm": float(shift.norm()),
            "translation_mm": shift.tolist(),
        },
        "center_ras_mm": center.tolist(),
        "uncertainty": _plain(registration.uncertainty),
        "similarity": registration.similarity,
        "appearance": registration.appearance,
        "polarity": registration.polarity,
        "standing": None if registration.standing is None else _plain(registration.standing),
        "relation": [_motion(xray.camera, end) for xray, end in zip(given.xrays, registration.cameras)],
        "xrays": [{"file": x.name, "size": list(x.image.shape), "grey_scale": x.report} for x in given.xrays],
    }


def _motion(given: Camera, refined: Camera) -> dict[str, Any]:
    """By how much the camera of a view was moved where the relation of the views was refined."""
    change = refined.pose.double() @ torch.linalg.inv(given.pose.double())
    return {
        "degrees": turn_degrees(change),
        "source_mm": float((refined.source - given.source).norm()),
        "pose": refined.pose.tolist(),
    }


def radiograph(volume: Image, pose: Affine, camera: Camera) -> Image:
    """The line integrals (1,1,rows,columns) of a volume as an image that lies on the detector, at most 1024 wide."""
    camera = camera.resized(max(1, math.ceil(max(camera.size) / WIDEST)))
    return Image(project(volume, pose.matrix, camera)[0][:, None], camera.detector_affine)


def _described(pose: Affine, center: Tensor) -> dict[str, Any]:
    """Matrix (RAS mm, CT world to C-arm world) and its six numbers about the center of the CT."""
    degrees, shift = rigid_parameters(pose, center)
    return {
        "rotation_degrees": degrees.tolist(),
        "translation_mm": shift.tolist(),
        "matrix": pose.matrix.tolist(),
    }


def _plain(value: Any) -> Any:
    """A dataclass as JSON can hold it."""
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value.tolist() if isinstance(value, Tensor) else list(value) if isinstance(value, tuple) else value


def _note(facts: dict[str, Any]) -> str:
    change, sure = facts["change"], facts["uncertainty"]
    reason = f" ({facts['reason']})" if facts["reason"] else ""
    return (
        f"{facts['verdict']}{reason}; moved by {change['degrees']:.2f}\N{DEGREE SIGN} and {change['mm']:.2f} mm; "
        f"uncertainty {_mm(sure['point_mm'])}, in depth {_mm(sure['depth_mm'])}"
    )


def _mm(value: float) -> str:
    return f"{value:.2f} mm" if math.isfinite(value) else "unknown"


def _pair(xray: Radiograph, volume: Image, start: Affine, end: Affine) -> RadiographPair:
    """The X-ray and the CT's radiographs, averaged over pixels to a size for a picture."""
    factor = _factor(xray)
    camera = xray.camera.resized(factor)
    rows, columns = camera.size
    pool = torch.nn.AvgPool2d(factor)
    image, mask = (pool(t[None].float())[0, :rows, :columns] for t in (xray.image, xray.inside))
    before, after = (project(volume, pose.matrix, camera)[0, 0] for pose in (start, end))
    return RadiographPair(Path(xray.name).name, image, mask > 0.99, before, after)


def _factor(xray: Radiograph) -> int:
    """How many pixels of an X-ray become one of the picture."""
    return max(1, math.ceil(max(xray.image.shape) / SHOWN))
