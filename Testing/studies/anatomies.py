"""Pose of a CT on other anatomy: how far each stage walks from the truth, and how often the recipe finds it.

    python -m Testing.studies.anatomies stages [--sets spine_ap ...] [--cases 0 2 4]
    python -m Testing.studies.anatomies recipe [--start far near] [--half even odd] [--record FILE]
    python -m Testing.studies.anatomies pairs [--off 3]

Sets: drr_other (the body goes on beyond the CT) and drr_pelvis_hard (it ends there). `stages` starts each stage of the
recipe at the true pose, one after the other. `pairs` registers two X-rays of a set that were taken 40 to 90 degrees
apart, the second camera where the true poses of both say; with --off, as many degrees and mm away from there, and its
relation refined. Targets are read to measure, never to register. The two halves are the images of even and of odd
numbers. --record adds a line of JSON for each registration, from which `calibration` makes its table and its plot.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.camera import read_geometry, relation
from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.methods.projective import PoseOptions, PoseRegistration, register
from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.crowd import Crowd
from DiffRegLib.methods.projective.ending import finished
from DiffRegLib.methods.projective.motion import step_between, turn_degrees, twists
from DiffRegLib.methods.projective.places import FINE, MORE, STEPS, WIDE
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.radiograph import Radiograph, prepare
from DiffRegLib.radiographs.xray import XRay
from DiffRegLib.transforms import Affine, rigid
from Testing.studies.projective import DATA, picture

OTHER = {"spine_ap": 5, "pelvis_lateral": 5, "chest_ribs": 5, "fine": 5, "pelvis_long": 10}
COUNTS = {**OTHER, "drr_pelvis_hard": 20}  # images of each set
LIMITS = (1.0, 2.0, 5.0)  # mm
APART = (40.0, 65.0, 90.0)  # degrees between the X-rays of a pair: least, best and most
HALVES = {"even": 0, "odd": 1}


@dataclass(frozen=True)
class Case:
    """One X-ray with starts and target (4,4) of the CT, and points (N,3) of the CT to measure at."""

    name: str
    ct: Image
    xray: Radiograph
    starts: dict[str, Tensor]
    target: Tensor
    points: Tensor

    def error(self, pose: Tensor) -> float:
        """Mean distance of the points, mm."""
        return float((Affine(pose)(self.points) - Affine(self.target)(self.points)).norm(dim=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["stages", "recipe", "pairs"])
    parser.add_argument("--sets", nargs="+", default=list(OTHER), choices=list(COUNTS))
    parser.add_argument("--cases", nargs="+", type=int, default=list(range(20)))
    parser.add_argument("--start", nargs="+", default=["far"], choices=["far", "near"])
    parser.add_argument("--half", nargs="+", default=list(HALVES), choices=list(HALVES))
    parser.add_argument("--record", type=Path, help="a file of lines of JSON to add to")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each pose that is off by over 5 mm")
    parser.add_argument("--off", type=float, default=0.0, help="degrees and mm by which the relation of pairs is wrong")
    arguments = parser.parse_args()
    halves = {HALVES[half] for half in arguments.half}
    chosen = {s: [k for k in arguments.cases if k < COUNTS[s] and k % 2 in halves] for s in arguments.sets}
    if arguments.what == "stages":
        _stages(chosen)
    elif arguments.what == "pairs":
        for start in arguments.start:
            _pairs(chosen, start, arguments.off)
    else:
        for start in arguments.start:
            recipe(chosen, cases, start, arguments)


def cases(folder: str, chosen: list[int]) -> Iterator[Case]:
    """The X-rays of a set with their numbers."""
    root = DATA / "drr_other" / folder if folder in OTHER else DATA / folder
    ct = read_image(root / "ct.nii.gz" if folder in OTHER else DATA / "drr_pelvis" / "ct128.nii.gz")
    poses = np.load(root / "poses.npz", allow_pickle=False)
    images = np.load(root / ("xrays.npz" if folder in OTHER else "xrays256.npz"))["image"].astype(np.float32)
    points = poses["bone_points"] if folder in OTHER else np.load(root / "pelvis_points.npz")["points_ct"]
    for k in chosen:
        file = root / f"geometry_{int(poses['view'][k])}.json" if folder in OTHER else _frontal()
        camera = read_geometry(file, [images[k].shape])[0].camera
        yield Case(
            f"{folder} {k}",
            ct,
            prepare(XRay(images[k], f"{folder} {k}"), camera),
            {"far": torch.tensor(poses["M_start"][k]), "near": torch.tensor(poses["M_start_near"][k])},
            torch.tensor(poses["M_target"][k]),
            torch.tensor(points, dtype=torch.float64),
        )


def _frontal() -> Path:
    return DATA / "drr_pelvis" / "geometry.json"


def _stages(chosen: dict[str, list[int]]) -> None:
    print("| X-ray | search, 32 pixels | 64 | 128 | evidence at the truth |")
    print("|---|---|---|---|---|")
    for folder, numbers in chosen.items():
        for case in cases(folder, numbers):
            with one_thread():
                errors, evidence = _walk(case)
            print(f"| {case.name} | {' | '.join(f'{e:.2f}' for e in errors)} | {evidence:.3f} |", flush=True)


def _walk(case: Case) -> tuple[list[float], float]:
    """Distances from the truth after each stage, and the evidence of the truth at the second level."""
    options = PoseOptions()
    scene = Scene(attenuation(case.ct), views_of([case.xray]), options)
    coarse, fine = (
        Crowd(scene.level(width, True), scene.center, sigma, options.outlier)
        for width, sigma in ((scene.search_level, WIDE), (scene.levels[0], FINE))
    )
    pose, errors = case.target[None], []
    agreement = fine.agreement(pose)
    signs = agreement.correlation.sign()
    for crowd, steps in ((coarse, STEPS), (fine, MORE)):
        pose = crowd.refined(pose, signs, steps)
        errors.append(case.error(pose[0]))
    candidate = Candidate(pose[0], 0.0, tuple(signs[0].tolist()))
    errors.append(case.error(finished(scene, candidate, "local-ncc", Watch(0)).best.pose))
    return errors, float(agreement.evidence)


def _pairs(chosen: dict[str, list[int]], start: str, off: float) -> None:
    print("| X-rays, start | degrees apart | off after | first alone | both, as stated | refined | verdict |")
    print("|---|---|---|---|---|---|---|")
    options = PoseOptions(relation_rotation=off, relation_translation=off)
    for folder, numbers in chosen.items():
        for first, second, angle in _beside(list(cases(folder, numbers))):
            camera = second.xray.camera
            xray = dataclasses.replace(second.xray, camera=camera.moved(_wrong(off, first.target, first.ct.center)))
            one, both = ([first.xray], [first.xray, xray])
            errors = []
            for views, chosen_options in ((one, PoseOptions()), (both, PoseOptions()), (both, options)):
                found = register(first.ct, views, chosen_options, initial=Affine(first.starts[start]))
                errors.append(first.error(found.pose.matrix))
            left = turn_degrees(found.cameras[1].pose @ torch.linalg.inv(camera.pose))
            shown = " | ".join(f"{e:.2f}" for e in errors)
            name = f"{first.name} and {second.name.split()[-1]}, {start}"
            print(f"| {name} | {angle:.0f} | {left:.2f} | {shown} | {found.verdict} {found.reason} |", flush=True)


def _beside(listed: list[Case]) -> Iterator[tuple[Case, Case, float]]:
    """Each X-ray with the one taken nearest to `APART` degrees beside it, its camera placed by the true poses."""
    for first in listed:
        placed = []
        for second in (case for case in listed if case is not first):
            between = first.target @ torch.linalg.inv(second.target)
            xray = dataclasses.replace(second.xray, camera=second.xray.camera.moved(between))
            placed.append((dataclasses.replace(second, xray=xray), relation(first.xray.camera, xray.camera)[0]))
        fit = [(abs(angle - APART[1]), k) for k, (_, angle) in enumerate(placed) if APART[0] <= angle <= APART[2]]
        if fit:
            yield first, *placed[min(fit)[1]]


def _wrong(off: float, pose: Tensor, center: Tensor) -> Tensor:
    """(4,4): `off` degrees about an oblique axis through the patient, and `off` mm along another."""
    there = Affine(pose)(center.double()[None])[0]
    third = off / math.sqrt(3)
    return rigid([third, -third, third], [third, third, -third], there).matrix


def recipe(
    chosen: dict[str, list[int]],
    read: Callable[[str, list[int]], Iterator[Case]],
    start: str,
    options: argparse.Namespace,
) -> None:
    """Registers the X-rays that are read for each set with their numbers, and prints the table, see `main`."""
    rows = {}
    for folder, numbers in chosen.items():
        for case in read(folder, numbers):
            begin, cpu = time.perf_counter(), time.process_time()
            found = register(case.ct, [case.xray], initial=Affine(case.starts[start]))
            seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
            error = case.error(found.pose.matrix)
            rows[case.name] = (error, found, seconds, cpu)
            if options.pictures and error > LIMITS[-1]:
                file = options.pictures / f"{folder}-{start}-{case.name.split()[-1]}.png"
                picture(file, case.ct, case.xray, (case.starts[start], case.target), found, error)
            if options.record is not None:
                with options.record.open("a") as file:
                    file.write(json.dumps(_recorded(case, start, error, found)) + "\n")
            print(f"{case.name}, {start}: {error:.2f} mm, {found.verdict} {found.reason}; {seconds:.1f} s", flush=True)
    print(
        "\n| set, start | half | images | "
        + " | ".join(f"< {mm:g}" for mm in LIMITS)
        + " | median | verdict | s | cpu s |"
    )
    print("|---|---|---|" + "---|" * (len(LIMITS) + 4))
    for folder in [*chosen, "all"]:
        for half in options.half:
            kept = [row for name, row in rows.items() if _belongs(name, folder, half)]
            if kept:
                print(f"| {folder}, {start} | {half} | {_summary(kept)}", flush=True)


def _recorded(case: Case, start: str, error: float, found: PoseRegistration) -> dict[str, object]:
    """The error as six numbers (see `motion`) beside the covariance that was stated for them."""
    axes, pose = case.xray.camera.pose.double()[:3, :3], found.pose.matrix
    generators = twists(axes, pose[:3, :3] @ case.ct.center.double() + pose[:3, 3])
    off = step_between(pose, case.target, generators)
    name, number = case.name.split()
    return {
        "set": name,
        "image": int(number),
        "start": start,
        "mm": error,
        "verdict": found.verdict,
        "off": off.tolist(),
        "covariance": found.uncertainty.covariance.tolist(),
    }


def _belongs(name: str, folder: str, half: str) -> bool:
    owner, number = name.split()
    return folder in ("all", owner) and int(number) % 2 == HALVES[half]


def _summary(rows: list[tuple[float, PoseRegistration, float, float]]) -> str:
    errors = np.array([row[0] for row in rows])
    verdicts = [row[1].verdict for row in rows]
    wrong = sum(error > 5 and verdict == "converged" for error, verdict in zip(errors, verdicts))
    shown = ", ".join(f"{verdicts.count(v)} {v}" for v in ("converged", "doubtful", "failed") if v in verdicts)
    counts = " | ".join(str(int((errors < mm).sum())) for mm in LIMITS)
    times = " | ".join(f"{np.median(t):.1f} ({max(t):.1f})" for t in zip(*((row[2], row[3]) for row in rows)))
    return f"{len(rows)} | {counts} | {np.median(errors):.2f} | {shown}; {wrong} sure and wrong | {times} |"


if __name__ == "__main__":
    main()
