"""The agreement of splatting's search with its neighborhood, where there are counterparts and where there are none.

    python -m Testing.studies.agreement [--cases 008 104 106 108]

The thresholds `enough` and `chance` of `DiffRegLib.methods.splatting.thresholds` lie between what is printed. Every
inspiration is compared with its own expiration and with that of the next case, a different patient; `case_055`, whose
scan is cut, from each of the starts that the recipe tries.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from DiffRegLib.methods.registration import Meter
from DiffRegLib.methods.splatting.initialize import further_affines, initial_affine
from DiffRegLib.methods.splatting.options import PRESETS
from DiffRegLib.methods.splatting.recipe import Start, attempt
from DiffRegLib.points import PointCloud
from Testing.studies.splatting import ROOT

OPTIONS = PRESETS["lung-vessels"]
CUT = "055"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=("008", "104", "106", "108"))
    cases = parser.parse_args().cases
    print("| fixed | moving | start | agreement |\n|---|---|---|---|", flush=True)
    for case, other in zip(cases, (*cases[1:], cases[0])):
        for moving in (case, other):
            _row(case, moving, "moments", 0)
    for number, name in enumerate(("moments", "centers", "lower ends", "upper ends")):
        _row(CUT, CUT, name, number)


def _row(fixed: str, moving: str, name: str, number: int) -> None:
    pair = _cloud(fixed, "insp"), _cloud(moving, "exp")
    affines = [initial_affine(*pair, "moments", None), *further_affines(*pair)]
    found = attempt(Start(affines[number], number == 0), *pair, OPTIONS, Meter(None, 1))
    print(f"| {fixed} | {moving} | {name} | {found.agreement:.2f} |", flush=True)


def _cloud(case: str, phase: str) -> PointCloud:
    data = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
    return PointCloud.plain(np.load(data / "lung_breathing" / f"case_{case}.npz")[f"{phase}_p75"])


if __name__ == "__main__":
    main()
