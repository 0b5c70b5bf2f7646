"""`diffreg splat FIXED MOVING -o OUT`: registers by forward splatting and shows how well."""

from __future__ import annotations

import argparse

from DiffRegLib.cli.parser import add_pairs
from DiffRegLib.files.kinds import check_input
from DiffRegLib.methods.splatting.options import PRESETS, SplattingOptions
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import from_arguments, to_dict
from DiffRegLib.points.options import CloudOptions

INPUTS = ("image", "surface", "points")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb, those of the options dataclasses among them."""
    text = (
        "CT or label map (.nii.gz .nrrd .mha, DICOM folder), surface (.vtk .vtp .ply .stl) or cloud (.npz[:key] .csv)"
    )
    parser.add_argument("fixed", metavar="FIXED", help=f"what stays: {text}")
    parser.add_argument("moving", metavar="MOVING", help="what is brought onto it: one of the same")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="folder of the result, made at the end")
    parser.add_argument("--overwrite", action="store_true", help="replace the result in OUT once the new one is there")
    parser.add_argument(
        "--initial", metavar="FILE", help="transform (fixed -> moving) to start from (.h5 .tfm .nii.gz)"
    )
    parser.add_argument("--preset", choices=tuple(PRESETS), help="options for a purpose; other flags go over them")
    add_pairs(parser, masks=True)
    add_options(parser, CloudOptions, "from the input to a cloud")
    add_options(parser, SplattingOptions, "registration")


def run(given: argparse.Namespace) -> int:
    """Makes the job, runs it in a child process, and prints what the result is worth."""
    from DiffRegLib.cli.execute import run_to
    from DiffRegLib.cli.metrics import show_result

    options = {
        "splatting": to_dict(from_arguments(SplattingOptions, given, PRESETS.get(given.preset))),
        "clouds": to_dict(from_arguments(CloudOptions, given)),
    }
    out, complete = run_to(given.out, "splatting", _inputs(given), options, given.overwrite)
    if complete:
        print(f"{out} holds this very result already; nothing was run.")
    show_result(out)
    return 0


def _inputs(given: argparse.Namespace) -> dict[str, str]:
    accepted = {"fixed": INPUTS, "moving": INPUTS, "initial": ("transform", "image")}
    for side in ("fixed", "moving"):
        accepted[f"{side}_landmarks"] = ("points",)
        accepted[f"{side}_labels"] = accepted[f"{side}_mask"] = ("image",)
    roles = {role: path for role in accepted if (path := getattr(given, role)) is not None}
    return {role: check_input(path, accepted[role], role.replace("_", " ")) for role, path in roles.items()}
