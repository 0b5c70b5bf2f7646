"""How far a trained network leads a pose, alone and with what follows it, as markdown.

    python -m Testing.studies.guided NETWORK [--sets clean noisy hard pelvis_long ...] [--starts far near] [--alone]
        [--cases 0 1 2]

NETWORK: a folder of `diffreg train projective`, or its weights. clean, noisy, hard: drr_pelvis and drr_pelvis_hard; the
rest: drr_other. Targets are read to measure, never to register. alone: the network without what follows it, which is
gradient NCC where the X-rays are line integrals, else the end of the recipe, and its search where that is not believed.
Errors: turn in degrees, shift of the CT's middle in mm, mean distance of bone points in mm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.methods.projective import PoseOptions, register
from DiffRegLib.methods.projective.learned import LearnedSimilarity
from DiffRegLib.methods.projective.motion import turn_degrees
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.transforms import Affine
from Testing.studies import anatomies, projective

INTEGRALS = PoseOptions(optimizer="lbfgs", levels=(64, 128), descent_iterations=100)


@dataclass(frozen=True)
class Case:
    """One X-ray of a CT, where it starts and where it belongs (4,4), and points (N,3) to measure at."""

    ct: Image
    xray: Radiograph
    start: Tensor
    target: Tensor
    points: Tensor

    def errors(self, pose: Tensor) -> tuple[float, float, float]:
        """Degrees, mm of the CT's middle, mm of the points."""
        middle = self.ct.center.double()
        there, truth = Affine(pose), Affine(self.target)
        turn = turn_degrees(pose @ torch.linalg.inv(self.target))
        points = (there(self.points) - truth(self.points)).norm(dim=1).mean()
        return turn, float((there(middle) - truth(middle)).norm()), float(points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--sets", nargs="+", default=["clean"], choices=[*PELVIS, *anatomies.OTHER])
    parser.add_argument("--starts", nargs="+", default=["far"], choices=["far", "near"])
    parser.add_argument("--cases", nargs="+", type=int, default=list(range(20)))
    parser.add_argument("--alone", action="store_true")
    given = parser.parse_args()
    learned = LearnedSimilarity.load(given.network, "cpu")
    print(
        "| set, start | images | nearer than it began | degrees, median | mm, median | points mm, median (mean) |",
        end="",
    )
    print(" points < 0.3 / 1 / 5 mm | CPU s |\n|---|---|---|---|---|---|---|---|")
    for name in given.sets:
        for start in given.starts:
            cases = PELVIS[name] if name in PELVIS else partial(_other, name)
            found = list(cases(start, given.cases))
            with one_thread():
                print(_row(f"{name}, {start}, start", [(c, c.start, 0.0) for c in found]))
                print(_row(f"{name}, {start}, network", [_led(learned, c) for c in found]), flush=True)
                if not given.alone:
                    rows = [_followed(given.network, c) for c in found]
                    print(_row(f"{name}, {start}, then the images", rows), flush=True)


def _pelvis(cases: Callable) -> Callable[[str, list[int]], Iterator[Case]]:
    def found(start: str, chosen: list[int]) -> Iterator[Case]:
        ct = read_image(projective.DATA / "drr_pelvis" / "ct128.nii.gz")
        for case in cases(ct, start, chosen):
            yield Case(ct, case.xrays[0], case.start, case.target, case.points)

    return found


def _other(name: str, start: str, chosen: list[int]) -> Iterator[Case]:
    for case in anatomies.cases(name, [n for n in chosen if n < anatomies.COUNTS[name]]):
        yield Case(case.ct, case.xray, case.starts[start], case.target, case.points)


PELVIS = {name: _pelvis(projective.SETS[name]) for name in ("clean", "noisy", "hard")}


def _led(learned: LearnedSimilarity, case: Case) -> tuple[Case, Tensor, float]:
    begin = time.process_time()
    approach = learned.between(attenuation(case.ct), views_of([case.xray])).approach(case.start)
    return case, approach.pose, time.process_time() - begin


def _followed(network: str, case: Case) -> tuple[Case, Tensor, float]:
    begin = time.process_time()
    options = replace(INTEGRALS if case.xray.kind == "line integral" else PoseOptions(), network=network)
    found = register(case.ct, [case.xray], options, initial=Affine(case.start))
    return case, found.pose.matrix, time.process_time() - begin


def _row(name: str, rows: list[tuple[Case, Tensor, float]]) -> str:
    errors = np.array([case.errors(pose) for case, pose, _ in rows])
    before = np.array([case.errors(case.start) for case, _, _ in rows])
    turn, shift, points = np.median(errors, 0)
    below = " / ".join(str(int((errors[:, 2] < mm).sum())) for mm in (0.3, 1, 5))
    nearer = int((errors[:, 2] < before[:, 2]).sum())
    seconds = np.median([s for *_, s in rows])
    return (
        f"| {name} | {len(rows)} | {nearer} | {turn:.2f} | {shift:.2f} | {points:.2f} ({errors[:, 2].mean():.2f}) | "
        f"{below} | {seconds:.1f} |"
    )


if __name__ == "__main__":
    main()
