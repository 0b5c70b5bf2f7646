"""`make demo`: an analytic patient at two states of breathing, registered, measured, and shown.

Ends in the panel of the test host where there is a screen, and in pictures where there is none.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPACING = "2"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.demo", description=__doc__.split(":", 1)[1])
    parser.add_argument("folder", type=Path, help="where the patient, the result and the pictures go; made anew")
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    patient, result = folder / "patient", folder / "result"
    diffreg("phantom", patient, "--spacing", SPACING)
    pairs = [
        flag
        for side in ("fixed", "moving")
        for kind, suffix in (("landmarks", "csv"), ("labels", "nii.gz"))
        for flag in (f"--{side}-{kind}", patient / f"{side}_{kind}.{suffix}")
    ]
    diffreg("splat", patient / "fixed_ct.nii.gz", patient / "moving_ct.nii.gz", "-o", result, *pairs)
    print(f"\nThe result is in {result}; look at {result / 'overview.png'}.")
    return show(patient, folder / "panel.png")


def diffreg(*arguments: object) -> None:
    """Runs the command line and ends the demo where it fails."""
    print("\n$ diffreg", *arguments, flush=True)
    done = subprocess.run([sys.executable, "-m", "DiffRegLib", *map(str, arguments)], cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)


def show(patient: Path, picture: Path) -> int:
    """The panel registers the patient before one's eyes: in a window where there is a screen, else in a picture."""
    from Testing.host import requirements

    lacking = requirements.missing()
    if lacking:
        print(f"The panel is not shown. {lacking}")
        return 0
    screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    command = [sys.executable, "-m", "Testing.demo_panel", str(patient)]
    done = subprocess.run(command if screen else [*command, "--screenshot", str(picture)], cwd=ROOT)
    if not done.returncode and not screen:
        print(f"There is no screen; the panel is photographed in {picture}.")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
