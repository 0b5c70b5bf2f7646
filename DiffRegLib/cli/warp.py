"""`diffreg warp FILE TRANSFORM -o OUT`: carries a file of any kind through a transform."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input, kind_of, kind_of_name

if TYPE_CHECKING:
    from DiffRegLib.transforms import Transform

ITEMS = ("image", "surface", "points")


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
    kind = kind_of(given.file)
    check_input(given.transform, ("transform", "image", "result"), "the transform")
    if given.like is not None:
        check_input(given.like, ("image",), "--like")
    if kind_of_name(Path(given.out).name) != kind:
        raise RegistrationError(f"{given.out} is not named as a file for {kind}: choose another extension for -o.")
    target = Path(os.path.abspath(given.out))
    if target.exists() and not given.overwrite:
        raise RegistrationError(f"{target} exists: choose another name for -o, or replace it with --overwrite.")
    _warp(given, target)
    return 0


def _warp(given: argparse.Namespace, target: Path) -> None:
    from DiffRegLib.cli.workspace import put, workspace
    from DiffRegLib.files import read_image
    from DiffRegLib.jobs.sides import carry, read_thing, write_thing

    thing = read_thing(given.file)
    if given.interpolation:
        thing = dataclasses.replace(thing, is_labels=given.interpolation == "nearest")
    pull, push = read_pair(given.transform)
    if given.inverse:
        pull, push = inverse_of(pull, push, thing.points()), pull
    like = read_image(given.like).geometry if given.like else None
    carried = carry(thing, pull, push, like)
    with workspace(target) as space:
        made = space / target.name
        write_thing(carried, made)
        put(made, target, space)
    print(f"Wrote {target}, carried to the {'moving' if given.inverse else 'fixed'} frame.")


def read_pair(path: str) -> tuple[Transform, Transform | None]:
    """The transform of a file, without its inverse; or both, as a result folder holds them."""
    from DiffRegLib.transforms import read_transform

    if kind_of(path) == "result":
        return read_transform(Path(path) / "transform.h5"), read_transform(Path(path) / "inverse.h5")
    return read_transform(path), None


def inverse_of(transform: Transform, inverse: Transform | None, points) -> Transform:
    """The stored inverse, or one that is computed where the points (N, 3) RAS mm are."""
    from DiffRegLib.jobs.sides import around

    return inverse if inverse is not None else transform.inverse(around(points, 2.0))
