"""`diffreg mend TRANSFORM -o FOLDER`: bends a transform where pairs of points say that it is wrong."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input

MESH = 3.0  # mm: the grid on which a transform without one of its own is inverted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    parser.description = (
        "Correct a transform so that it takes each fixed point to its moving one: smoothly, only within a reach around "
        "the pairs, and never with a fold. Writes the mended transform and its inverse."
    )
    parser.add_argument("transform", metavar="TRANSFORM", help="transform (fixed -> moving), or a result folder")
    for side in ("fixed", "moving"):
        parser.add_argument(f"--{side}-landmarks", metavar="FILE", required=True, help=f"points of the {side} side")
    parser.add_argument(
        "--reach", metavar="MM", type=float, default=40.0, help="how far a pair acts [mm] (default: 40)"
    )
    parser.add_argument("-o", "--out", metavar="FOLDER", required=True, help="folder for transform.h5 and inverse.h5")
    parser.add_argument("--overwrite", action="store_true", help="replace FOLDER once the new one is there")


def run(given: argparse.Namespace) -> int:
    """Writes the mended transform and its inverse."""
    check_input(given.transform, ("transform", "image", "result"), "the transform")
    for side in ("fixed", "moving"):
        check_input(getattr(given, f"{side}_landmarks"), ("points",), f"--{side}-landmarks")
    target = Path(os.path.abspath(given.out))
    if target.exists() and not given.overwrite:
        raise RegistrationError(f"{target} exists: choose another name for -o, or replace it with --overwrite.")
    from DiffRegLib.cli.workspace import put, workspace
    from DiffRegLib.files import open_file, read_landmarks
    from DiffRegLib.geometry import Geometry
    from DiffRegLib.review.case import LandmarkPairs
    from DiffRegLib.review.mend import mend
    from DiffRegLib.transforms import write_transform

    opened = open_file(given.transform, ("transform",))
    pairs = LandmarkPairs(*(read_landmarks(getattr(given, f"{side}_landmarks")) for side in ("fixed", "moving")))
    around = Geometry.around(pairs.fixed, MESH, 2 * given.reach)
    inverse = opened.inverse
    if inverse is None:
        inverse = opened.content.inverse(opened.content.default_geometry() or around)
    mended = mend(opened.content, pairs, given.reach, inverse)
    with workspace(target) as space:
        made = space / target.name
        made.mkdir()
        write_transform(mended.transform, made / "transform.h5")
        write_transform(mended.inverse, made / "inverse.h5")
        put(made, target, space)
    print(f"Wrote {target}: {len(pairs.fixed)} pairs, met within {mended.residual_mm:.3f} mm.")
    return 0
