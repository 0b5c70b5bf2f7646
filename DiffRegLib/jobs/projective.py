"""Runs the jobs of pose estimation: a CT and X-rays in, a pose and the evidence for it out."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from DiffRegLib.files import write_image
from DiffRegLib.image import Image
from DiffRegLib.jobs.job import Job
from DiffRegLib.jobs.pose_start import PoseInput, read_input
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.methods.projective import register
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.options import from_dict
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.options import ImagingOptions
from DiffRegLib.radiographs.projection import project
from DiffRegLib.review.radiographs import RadiographPair, pose_overview
from DiffRegLib.transforms import Affine, rigid_parameters, write_transform

if TYPE_CHECKING:
    from DiffRegLib.camera import Camera
    from DiffRegLib.methods.projective.result import PoseRegistration
    from DiffRegLib.radiographs.radiograph import Radiograph

POSE, FACTS, OVERVIEW, DRR = "pose.tfm", "pose.json", "overview.png", "drr_{}.nrrd"
READ, REGISTERED = 0.05, 0.9  # of the progress, where reading and estimation end
WIDEST = 1024  # pixels of a radiograph as an image, at most
SHOWN = 512  # pixels of a radiograph in the picture, at most


def run(job: Job, result: Path, report: Reporter) -> dict[str, Any]:
    """Estimates the pose and writes pose.tfm, pose.json, a radiograph of the CT a view, and overview.png.

    Returns the method's provenance.
    """
    options = from_dict(PoseOptions, job.options["pose"])
    options = dataclasses.replace(options, network=job.path("network") or options.network)
    imaging = from_dict(ImagingOptions, job.options["imaging"])
    given = read_input(job, imaging)
    report(READ, f"Estimating the pose, {given.note}.")
    volume = attenuation(given.ct, imaging.water)
    progress = report.part(READ, REGISTERED)
    registration = register(volume, given.xrays, options, given.start, progress, given.organ)
    report(REGISTERED, "Writing the result.")
    write_transform(registration.transform, result / POSE)
    facts = describe(registration, given)
    _write_facts(result / FACTS, facts)
    for number, xray in enumerate(given.xrays, 1):
        write_image(radiograph(volume, registration.transform, xray.camera), result / DRR.format(number))
    report(0.93, "Drawing the overview.")
    pose_overview(
        result / OVERVIEW,
        [_pair(xray, volume, given.start, registration.transform) for xray in given.xrays],
        title=f"{Path(job.path('ct')).name} onto {', '.join(Path(x.name).name for x in given.xrays)}",
        note=_note(facts),
        trace=registration.trace,
    )
    provenance = dataclasses.asdict(registration.provenance)
    return {key: value for key, value in provenance.items() if key not in ("inputs", "options")}


def describe(registration: PoseRegistration, given: PoseInput) -> dict[str, Any]:
    """The content of pose.json; lengths in mm, angles in degrees, numbers that are not finite as null."""
    center = given.ct.center
    end = registration.transform
    between = Affine(end.matrix @ torch.linalg.inv(given.start.matrix))
    shift = end(center) - given.start(center)
    facts = {
        "verdict": registration.verdict,
        "reason": registration.reason,
        "start": _described(given.start, center),
        "start_note": given.note,
        "end": _described(end, center),
        "change": {"degrees": angle(between.matrix), "mm": float(shift.norm()), "translation_mm": shift.tolist()},
        "center_ras_mm": center.tolist(),
        "uncertainty": _plain(registration.uncertainty),
        "similarity": registration.similarity,
        "appearance": registration.appearance,
        "polarity": registration.polarity,
        "xrays": [{"file": x.name, "size": list(x.image.shape), "grey_scale": x.report} for x in given.xrays],
        "seconds": registration.provenance.seconds,
        "trace": [_plain(row) for row in registration.trace],
    }
    return _finite(facts)


def radiograph(volume: Image, pose: Affine, camera: Camera) -> Image:
    """The line integrals (1,1,rows,columns) of a volume as an image that lies on the detector, at most 1024 wide."""
    camera = camera.resized(max(1, math.ceil(max(camera.size) / WIDEST)))
    return Image(project(volume, pose.matrix, camera)[0][:, None], camera.detector_affine)


def angle(matrix: Tensor) -> float:
    """Degrees of the rotation in a rigid (4,4)."""
    r = matrix[:3, :3]
    sine = torch.stack((r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1])).norm()
    return math.degrees(math.atan2(float(sine), float(r.trace()) - 1))


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


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_facts(path: Path, facts: dict[str, Any]) -> None:
    """One fact a line, so that the long trace does not bury the others."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _note(facts: dict[str, Any]) -> str:
    change, sure = facts["change"], facts["uncertainty"]
    reason = f" ({facts['reason']})" if facts["reason"] else ""
    return (
        f"{facts['verdict']}{reason}; moved by {change['degrees']:.2f}\N{DEGREE SIGN} and {change['mm']:.2f} mm; "
        f"uncertainty {_mm(sure['point_mm'])}, in depth {_mm(sure['depth_mm'])}; {facts['seconds']:.1f} s"
    )


def _mm(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} mm"


def _pair(xray: Radiograph, volume: Image, start: Affine, end: Affine) -> RadiographPair:
    """The X-ray and the CT's radiographs, averaged over pixels to a size for a picture."""
    factor = max(1, math.ceil(max(xray.image.shape) / SHOWN))
    camera = xray.camera.resized(factor)
    rows, columns = camera.size
    pool = torch.nn.AvgPool2d(factor)
    image, mask = (pool(t[None].float())[0, :rows, :columns] for t in (xray.image, xray.inside))
    before, after = (project(volume, pose.matrix, camera)[0, 0] for pose in (start, end))
    return RadiographPair(Path(xray.name).name, image, mask > 0.99, before, after)
