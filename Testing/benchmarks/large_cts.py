"""Two CTs of clinical size through `diffreg splat`: the whole command's seconds and memory, on real files.

    python -m Testing.benchmarks.large_cts FOLDER [--spacing 0.85]

The phantom breathes in between; FOLDER keeps its files for the next time. Asked: at most 35 s on two quiet cores, and
1.5 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

SIDES = ("fixed", "moving")
ASKED_SECONDS, ASKED_GIB = 35.0, 1.5


def diffreg(*arguments: str | Path) -> tuple[float, float, float]:
    """Seconds that passed, seconds of CPU and GiB at the peak of one command, its workers included."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "DiffRegLib", *map(str, arguments)])
    _, status, used = os.wait4(process.pid, 0)
    passed = time.perf_counter() - start
    if status:
        raise SystemExit(f"diffreg {arguments[0]} failed")
    return passed, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the patient is kept")
    parser.add_argument("--spacing", default="0.85", help="of the phantom, mm")
    given = parser.parse_args()
    patient, result = given.folder / f"patient-{given.spacing}", given.folder / "result"
    if not patient.exists():
        diffreg("phantom", patient, "--spacing", given.spacing)
    shutil.rmtree(result, ignore_errors=True)
    scans, landmarks = [patient / f"{side}_ct.nii.gz" for side in SIDES], []
    for side in SIDES:
        landmarks += [f"--{side}-landmarks", patient / f"{side}_landmarks.csv"]
    passed, cpu, peak = diffreg("splat", *scans, "-o", result, *landmarks)
    metrics = json.loads((result / "metrics.json").read_text(encoding="utf-8"))
    before, after = (metrics["landmarks"][f"{when}_mm"]["mean"] for when in ("before", "after"))
    print(f"seconds that passed {passed:.1f} (asked {ASKED_SECONDS:g}), of CPU {cpu:.1f}")
    print(f"peak of memory {peak:.2f} GiB (asked {ASKED_GIB:g})")
    print(f"the registration alone {metrics['seconds']:.1f} s; landmarks {before:.2f} mm before, {after:.2f} after")


if __name__ == "__main__":
    main()
