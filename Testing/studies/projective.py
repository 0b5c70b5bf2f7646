"""Accuracy of pose estimation on the shared data, as markdown.

    python -m Testing.studies.projective [--sets clean noisy hard two pairs] [--starts near far]
        [--methods recipe sgd cma] [--cases 0 1 2] [--time-limit SECONDS] [--pictures FOLDER]

clean, noisy, hard: drr_pelvis and drr_pelvis_hard. two: clean, with a second view from the side. pairs: each hard image
with the next, whose camera is placed by the true relation of the two, as a calibrated biplane device would know it.
Targets are read to measure, never to register; every case runs with the default options of its method.
sgd: ProST's gradient NCC with momentum and a cyclic rate; cma: gradient NCC with CMA-ES; both from the start alone, and
told whether the radiographs are line integrals, and that what absorbs more is brighter.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.methods.projective import PoseOptions, PoseRegistration, register
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.projection import project
from DiffRegLib.radiographs.radiograph import Radiograph, prepare
from DiffRegLib.radiographs.xray import XRay
from DiffRegLib.review.radiographs import RadiographPair, pose_overview
from DiffRegLib.transforms import Affine

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
CENTER = torch.tensor([3.543670654296875, 129.81900024414062, 212.8017578125], dtype=torch.float64)
FIELD = 373.76  # mm, width of the detector
COLORS = 200  # of a picture: half the bytes
LIMITS = (0.1, 0.3, 1.0, 2.0, 5.0)  # mm
BASELINE = PoseOptions(search=False, similarity="gradient-ncc", levels=(128,), descent_iterations=500)
SPREADS = {"near": 5.0, "far": 30.0}  # mm, of the first generation of CMA-ES: as wide as the starts
METHODS = {
    "recipe": PoseOptions(),
    "sgd": dataclasses.replace(BASELINE, optimizer="sgd"),
    "cma": dataclasses.replace(BASELINE, optimizer="cma"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """Radiographs with the start and the target (4,4) of the CT, and points (N,3) of the CT to measure at."""

    name: str
    xrays: tuple[Radiograph, ...]
    start: Tensor
    target: Tensor
    points: Tensor


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Errors are mean distances of the points, mm; cpu seconds are those of all threads."""

    case: Case
    result: PoseRegistration
    error: float
    seconds: float
    cpu_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--starts", nargs="+", default=["near", "far"], choices=["near", "far"])
    parser.add_argument("--methods", nargs="+", default=["recipe"], choices=list(METHODS))
    parser.add_argument("--cases", nargs="+", type=int, default=list(range(20)))
    parser.add_argument("--time-limit", type=float, default=PoseOptions().time_limit, help="of a case, seconds")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each case that is off by over 2 mm")
    arguments = parser.parse_args()
    ct = read_image(DATA / "drr_pelvis" / "ct128.nii.gz")
    register(ct, _clean(ct, "near", [0])[0].xrays, PoseOptions(search=False))  # compiles the kernels
    columns = " | ".join(f"< {limit:g}" for limit in LIMITS)
    print(f"| set, start, method | {columns} | median | mean | s | cpu s | verdict |")
    print("|---|" + "---|" * (len(LIMITS) + 5))
    notes = []
    for name in arguments.sets:
        for start in arguments.starts:
            for method in arguments.methods:
                options = _options(method, name, start, arguments.time_limit)
                outcomes = [_run(ct, case, options) for case in SETS[name](ct, start, arguments.cases)]
                print(_row(f"{name}, {start}, {method}", outcomes), flush=True)
                notes += [f"{name}, {start}, {method}: {note}" for note in _notes(outcomes)]
                for o in outcomes:
                    if arguments.pictures and o.error > 2:
                        file = arguments.pictures / f"{name}-{start}-{method}-{o.case.name.replace(' ', '-')}.png"
                        picture(file, ct, o.case.xrays[0], (o.case.start, o.case.target), o.result, o.error)
    print("\n" + "\n".join(f"- {note}" for note in notes))


def _options(method: str, name: str, start: str, seconds: float) -> PoseOptions:
    """Without a search nothing tells appearance and polarity: `prepare` has made all images positive."""
    options = dataclasses.replace(METHODS[method], time_limit=seconds)
    known = "different" if name in ("hard", "pairs") else "same"
    if method == "recipe":
        return options
    return dataclasses.replace(options, appearance=known, polarity="positive", spread=SPREADS[start])


def _run(ct: Image, case: Case, options: PoseOptions) -> Outcome:
    begin, cpu = time.perf_counter(), time.process_time()
    result = register(ct, case.xrays, options, initial=Affine(case.start))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    difference = result.pose(case.points) - Affine(case.target)(case.points)
    return Outcome(case, result, difference.norm(dim=1).mean().item(), seconds, cpu)


def _row(name: str, outcomes: list[Outcome]) -> str:
    errors = np.array([o.error for o in outcomes])
    counts = " | ".join(str(int((errors < limit).sum())) for limit in LIMITS)
    times = [f"{np.median(t):.1f} ({max(t):.1f})" for t in zip(*[(o.seconds, o.cpu_seconds) for o in outcomes])]
    verdicts = [o.result.verdict for o in outcomes]
    shown = ", ".join(f"{verdicts.count(v)} {v}" for v in ("converged", "doubtful", "failed") if v in verdicts)
    return f"| {name} | {counts} | {np.median(errors):.3f} | {errors.mean():.3f} | {' | '.join(times)} | {shown} |"


def _notes(outcomes: list[Outcome]) -> Iterator[str]:
    """The cases that missed 2 mm or were not believed, and whether a wrong pose was believed."""
    for o in outcomes:
        believed = o.result.verdict == "converged"
        if o.error > 2 or not believed:
            wrong = ", WRONG AND BELIEVED" if believed and o.error > 5 else ""
            reason = f" ({o.result.reason})" if o.result.reason else ""
            yield f"case {o.case.name}: {o.error:.2f} mm, {o.result.verdict}{reason}{wrong}"


def _camera(view: str, size: int) -> Camera:
    """The frontal camera of the data, or the same turned by 90 degrees to the patient's right."""
    away = {"frontal": [0.0, 1.0, 0.0], "lateral": [1.0, 0.0, 0.0]}[view]
    right = {"frontal": [-1.0, 0.0, 0.0], "lateral": [0.0, 1.0, 0.0]}[view]
    away, right, down = (torch.tensor(v, dtype=torch.float64) for v in (away, right, [0.0, 0.0, -1.0]))
    pitch = FIELD / size
    return Camera.from_detector(CENTER - 620 * away, CENTER + 400 * away, right, down, (pitch, pitch), (size, size))


def _poses(folder: str, start: str) -> tuple[Tensor, Tensor]:
    file = {"drr_pelvis": "eval_poses.npz", "drr_pelvis_hard": "poses.npz"}[folder]
    with np.load(DATA / folder / file) as poses:
        keys = ("M_start_near" if start == "near" else "M_start", "M_target")
        return tuple(torch.tensor(poses[key]) for key in keys)


def _points(folder: str, file: str) -> Tensor:
    with np.load(DATA / folder / file) as points:
        return torch.tensor(points["points_ct"], dtype=torch.float64)


def _clean(ct: Image, start: str, chosen: list[int], noisy: bool = False) -> list[Case]:
    starts, targets = _poses("drr_pelvis", start)
    points = _points("drr_pelvis", "bone_points.npz")
    with np.load(DATA / "drr_pelvis" / "eval_proj128.npz") as images:
        lines = images["line_integral"]
        if noisy:
            lines = -np.log(np.maximum(images["counts_noisy"].astype(np.float64), 1) / float(images["I0"]))
    camera = _camera("frontal", 128)
    radiographs = [prepare(XRay(line.astype(np.float32), "DRR"), camera, line_integrals=True) for line in lines]
    return [Case(str(k), (radiographs[k],), starts[k], targets[k], points) for k in chosen]


def _two(ct: Image, start: str, chosen: list[int]) -> list[Case]:
    side, volume = _camera("lateral", 128), attenuation(ct)
    cases = _clean(ct, start, chosen)
    radiographs = [project(volume, case.target, side, step=0.5)[0, 0].numpy() for case in cases]
    return [
        dataclasses.replace(case, xrays=(*case.xrays, prepare(XRay(xray, "lateral"), side, line_integrals=True)))
        for case, xray in zip(cases, radiographs)
    ]


def _hard(ct: Image, start: str, chosen: list[int]) -> list[Case]:
    starts, targets = _poses("drr_pelvis_hard", start)
    points = _points("drr_pelvis_hard", "pelvis_points.npz")
    with np.load(DATA / "drr_pelvis_hard" / "xrays256.npz") as images:
        radiographs = [XRay(image.astype(np.float32), f"X-ray {k}") for k, image in enumerate(images["image"])]
    camera = _camera("frontal", 256)
    return [Case(str(k), (prepare(radiographs[k], camera),), starts[k], targets[k], points) for k in chosen]


def _pairs(ct: Image, start: str, chosen: list[int]) -> list[Case]:
    """The second camera stands, relative to the pelvis, where it stood when it took the next image."""
    cases = _hard(ct, start, list(range(20)))
    pairs = []
    for k in chosen:
        first, second = cases[k], cases[(k + 1) % 20]
        xray = second.xrays[0]
        placed = first.target @ torch.linalg.inv(second.target) @ xray.camera.pose
        xray = dataclasses.replace(xray, camera=dataclasses.replace(xray.camera, pose=placed))
        name = f"{first.name} and {second.name}"
        pairs.append(dataclasses.replace(first, name=name, xrays=(*first.xrays, xray)))
    return pairs


def _noisy(ct: Image, start: str, chosen: list[int]) -> list[Case]:
    return _clean(ct, start, chosen, noisy=True)


SETS = {"clean": _clean, "noisy": _noisy, "hard": _hard, "two": _two, "pairs": _pairs}


def picture(
    path: Path, ct: Image, xray: Radiograph, ends: tuple[Tensor, Tensor], result: PoseRegistration, error: float
) -> None:
    """The pose found against the start, below it the true pose against the one found; ends: start and truth (4,4)."""
    poses = torch.stack([ends[0], result.pose.matrix, ends[1]])
    start, end, truth = project(attenuation(ct), poses, xray.camera)[:, 0]
    rows = [("start, then found", start, end), ("found, then true", end, truth)]
    pairs = [RadiographPair(name, xray.image, xray.inside, before, after) for name, before, after in rows]
    sure = result.uncertainty
    note = f"{error:.2f} mm off; {result.verdict}, uncertainty {sure.point_mm:.2f} mm, in depth {sure.depth_mm:.2f} mm"
    path.parent.mkdir(parents=True, exist_ok=True)
    pose_overview(path, pairs, f"{path.stem}", note, result.trace)
    with Picture.open(path) as drawn:
        few = drawn.convert("RGB").quantize(COLORS)
    few.save(path, optimize=True)


if __name__ == "__main__":
    main()
