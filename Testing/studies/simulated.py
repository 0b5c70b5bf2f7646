"""Poses of simulated X-rays (see `simulation`): where the last stage ends, and whether the search carries over.

    python -m Testing.studies.simulated end [--sets spine_ap ...] [--first 0] [--images 16]
    python -m Testing.studies.simulated recipe [--sets spine_ap ...] [--first 200] [--images 6] [--pictures FOLDER]

`end`: each X-ray is registered from two starts, 4 mm to either side of the truth along the ray and 1 to 1.5 mm off in
the other directions, so that the search has no part in it. `recipe`: from far away, as `diffreg pose` does it; the
X-rays of numbers 100 to 199 were looked at when the search was chosen, those from 200 on are for the report.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.methods.projective import PoseOptions
from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.crowd import Crowd
from DiffRegLib.methods.projective.ending import NARROW, finished
from DiffRegLib.methods.projective.motion import moved, step_between
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.search import Candidate
from DiffRegLib.methods.projective.uncertainty import uncertainty
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.radiographs.attenuation import attenuation
from Testing.studies.anatomies import HALVES, OTHER, Case, recipe
from Testing.studies.simulation import simulated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["end", "recipe"])
    parser.add_argument("--sets", nargs="+", default=list(OTHER), choices=list(OTHER))
    parser.add_argument("--first", type=int, default=0, help="number of the first X-ray of each set")
    parser.add_argument("--images", type=int, default=16, help="of each set")
    parser.add_argument("--record", type=Path, help="a file of lines of JSON to add to")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each pose that is off by over 5 mm")
    parser.set_defaults(half=list(HALVES))
    arguments = parser.parse_args()
    chosen = {s: list(range(arguments.first, arguments.first + arguments.images)) for s in arguments.sets}
    if arguments.what == "recipe":
        recipe(chosen, _simulated, "far", arguments)
    else:
        _table(chosen)


def _simulated(folder: str, chosen: list[int]) -> Iterator[Case]:
    return (simulated(folder, number) for number in chosen)


def _table(chosen: dict[str, list[int]]) -> None:
    print("| set | ends | < 1 | < 2 | < 5 | median | mean | along the ray, mean | within one deviation | within two |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    ends = {}
    for folder, numbers in chosen.items():
        ends[folder] = [end for k in numbers for end in _ends(simulated(folder, k), k)]
        print(_row(folder, ends[folder]), flush=True)
    print(_row("all", sum(ends.values(), [])))


def _ends(case: Case, seed: int) -> list[tuple[float, float, float]]:
    """From either start: error in mm, its part along the ray, and the deviation that is stated for that."""
    with one_thread():
        options = PoseOptions()
        scene = Scene(attenuation(case.ct), views_of([case.xray]), options)
        finest = Crowd(scene.level(scene.levels[-1], True), scene.center, NARROW, options.outlier)
        signs = tuple(finest.agreement(case.target[None]).correlation.sign()[0].tolist())
        generators = scene.problem(scene.levels[-1], "local-ncc", signs, foreign=True).generators(case.target)
        found = []
        for start in _starts(case.target, generators, seed):
            end = finished(scene, Candidate(start, 0.0, signs), "local-ncc", Watch(0))
            off = step_between(case.target, end.best.pose, generators)
            stated = uncertainty(end.problem, end.best.pose, foreign=True)
            found.append((case.error(end.best.pose), float(off[5]), stated.depth_mm))
    return found


def _starts(target: Tensor, generators: Tensor, seed: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    deviation = torch.tensor([1.5, 1.5, 1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    steps = [torch.randn(6, generator=random, dtype=torch.float64) * deviation for _ in range(2)]
    for step, depth in zip(steps, (4.0, -4.0)):
        step[5] = depth
    return [moved(target, generators, step) for step in steps]


def _row(name: str, ends: list[tuple[float, float, float]]) -> str:
    error, along, stated = (np.array(column) for column in zip(*ends))
    below = " | ".join(str(int((error < mm).sum())) for mm in (1, 2, 5))
    within = " | ".join(f"{(abs(along) < k * stated).mean():.2f}" for k in (1, 2))
    shown = f"{np.median(error):.2f} | {error.mean():.2f} | {along.mean():+.2f}"
    return f"| {name} | {len(ends)} | {below} | {shown} | {within} |"


if __name__ == "__main__":
    main()
