"""`diffreg warp FILE TRANSFORM -o OUT`: carries a file of any kind through a transform."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input, kind_of, kind_of_name

if TYPE_CHECKING:
    from torch import Tensor

    from DiffRegLib.transforms import Transform

ITEMS = ("image", "labels", "surface", "points")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    parser.description = (
        "Carry a file from the moving frame to the fixed frame, or with --inverse the other way round. Images are "
        "sampled through the transform, points go through its inverse, so that both end up in the same place."
    )
    parser.add_argument("file", metavar="FILE", help="image, label map, surface, cloud or landmarks")
    parser.add_argument("transform", metavar="TRANSFORM", help="transform (fixed -> moving), or a result folder")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="file to write; its extension is the format")
    parser.add_argument("--inverse", action="store_true", help="carry from the fixed frame to the moving frame")
    parser.add_argument("--like", metavar="IMAGE", help="image whose grid the output gets (default: one around it)")
    text = "how values between voxels are taken (default: nearest for label maps, linear for others)"
    parser.add_argument("--interpolation", choices=("linear", "nearest"), help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace OUT once the new file is there")


def run(given: argparse.Namespace) -> int:
    """Writes the warped file."""
    check_input(given.file, ITEMS, "the file to warp")
    check_input(given.transform, ("transform",), "the transform")
    if given.like is not None:
        check_input(given.like, ("image",), "--like")
    kinds = [kind_of(given.file), kind_of_name(Path(given.out).name)]
    if kinds[0] != kinds[1] and set(kinds) != {"points", "surface"}:
        raise RegistrationError(f"{given.out} is not named as a file for {kinds[0]}: choose another extension for -o.")
    target = Path(os.path.abspath(given.out))
    if target.exists() and not given.overwrite:
        raise RegistrationError(f"{target} exists: choose another name for -o, or replace it with --overwrite.")
    _warp(given, target)
    return 0


def _warp(given: argparse.Namespace, target: Path) -> None:
    from DiffRegLib.cli.workspace import put, workspace
    from DiffRegLib.files import carry, open_file, read_grid, write

    thing = open_file(given.file, ITEMS)
    opened = open_file(given.transform, ("transform",))
    pull, push = opened.content, opened.inverse
    if given.inverse:
        pull, push = inverse_of(pull, push, thing.points()), pull
    like = read_grid(given.like) if given.like else None
    carried = carry(thing, pull, push, like, given.interpolation)
    with workspace(target) as space:
        made = space / target.name
        write(carried, made)
        put(made, target, space)
    if not given.interpolation and thing.guess:
        print(f"{thing.guess[:-1]}; --interpolation decides otherwise.")
    for note in carried.notes:
        print(note)
    print(f"Wrote {target}, carried to the {'moving' if given.inverse else 'fixed'} frame.")


def inverse_of(transform: Transform, inverse: Transform | None, points: Tensor) -> Transform:
    """The stored inverse, or one that is computed where the points (N, 3) RAS mm are."""
    from DiffRegLib.files import around

    return inverse if inverse is not None else transform.inverse(around(points, 2.0))
