"""`diffreg pose CT XRAY... -o OUT`: where the patient was when the X-rays were taken."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.training_options import NETWORK
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import from_arguments, to_dict
from DiffRegLib.radiographs.options import ImagingOptions

FACTS = "pose.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb, those of the options dataclasses among them."""
    parser.description = (
        "Estimate the rigid pose of a CT in the world of a C-arm from one or more X-rays of it. OUT gets pose.tfm (CT "
        "world to C-arm world, ITK), pose.json and overview.png."
    )
    parser.add_argument("ct", metavar="CT", help="CT in HU (.nii.gz .nrrd .mha, DICOM folder)")
    parser.add_argument("xrays", metavar="XRAY", nargs="+", help="2D image, one a view (DICOM .png .tif .nii.gz .mha)")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="folder of the result, made at the end")
    parser.add_argument("--overwrite", action="store_true", help="replace the result in OUT once the new one is there")
    group = parser.add_argument_group("geometry and start")
    text = "JSON with the place of source and detector; one for all views, or once for each (default: the DICOM tags)"
    group.add_argument("--geometry", metavar="FILE", action="append", default=[], help=text)
    text = (
        "start pose: a .tfm (CT world to C-arm world), or rx ry rz tx ty tz, degrees and mm about the center of the CT "
        "(default: that of the geometry, or none)"
    )
    group.add_argument("--start", metavar="POSE", nargs="+", default=[], help=text)
    group.add_argument("--landmarks", metavar="FILE", help="points in the CT (RAS mm) to start from, with --clicks")
    text = "where they are seen in the first X-ray: .csv of column and row in pixels, row by row"
    group.add_argument("--clicks", metavar="FILE", help=text)
    group.add_argument("--mask", metavar="FILE", help="label map of what to project alone, see --labels")
    add_options(parser, ImagingOptions, "from files to radiographs")
    add_options(parser, PoseOptions, "pose estimation")


def run(given: argparse.Namespace) -> int:
    """Makes the job, runs it in a child process, and prints the pose and how sure it is."""
    from DiffRegLib.cli.execute import run_to

    start, pose = start_of(given.start), from_arguments(PoseOptions, given)
    options: dict[str, dict[str, Any]] = {
        "pose": to_dict(replace(pose, network="")),  # the job knows it as an input, with its checksum
        "imaging": to_dict(from_arguments(ImagingOptions, given)),
        "start": {"pose": start} if isinstance(start, list) else {},
    }
    out, complete = run_to(given.out, "projective", _inputs(given, start, pose.network), options, given.overwrite)
    if complete:
        print(f"{out} holds this very result already; nothing was run.")
    show_pose(out)
    return 0


def start_of(words: list[str]) -> list[float] | str | None:
    """Six numbers, the name of a file, or None where nothing was given."""
    if not words:
        return None
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) == 6 and all(abs(number) < float("inf") for number in numbers):
        return numbers
    if len(words) == 1 and not numbers:
        return check_input(words[0], ("transform",), "the start pose")
    raise RegistrationError(
        f"--start is {' '.join(words)}: give a .tfm file, or six numbers rx ry rz tx ty tz in degrees and mm."
    )


def check_file(path: str, role: str) -> str:
    """Returns the path of a file of any format, or raises RegistrationError where it cannot be read."""
    if not os.path.isfile(path):
        raise RegistrationError(f"{path} does not exist or is no file: check the name of {role}.")
    if not os.access(path, os.R_OK):
        raise RegistrationError(f"{path} may not be read: change its permissions.")
    return path


def network_file(path: str) -> str:
    """The weights of a file, or of a folder of `diffreg train`; raises RegistrationError where there are none."""
    return check_file(os.path.join(path, NETWORK) if os.path.isdir(path) else path, "the network")


def _inputs(given: argparse.Namespace, start: list[float] | str | None, network: str) -> dict[str, str]:
    inputs = {"ct": check_input(given.ct, ("image",), "the CT")}
    inputs |= {f"xray_{n}": check_file(path, "the X-ray") for n, path in enumerate(given.xrays, 1)}
    inputs |= {f"geometry_{n}": check_file(path, "the geometry") for n, path in enumerate(given.geometry, 1)}
    if isinstance(start, str):
        inputs["start"] = start
    for role, kinds in (("landmarks", ("points",)), ("clicks", ("points",)), ("mask", ("image",))):
        if getattr(given, role) is not None:
            inputs[role] = check_input(getattr(given, role), kinds, f"--{role}")
    if network:
        inputs["network"] = network_file(network)
    if (given.landmarks is None) != (given.clicks is None):
        raise RegistrationError("--landmarks and --clicks belong together: give both or none.")
    return inputs


def show_pose(folder: Path) -> None:
    """Prints what `pose.json` of a result says."""
    from DiffRegLib.cli.show import facts, table

    found = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    names = ("rx", "ry", "rz", "tx", "ty", "tz")
    units = ["degrees"] * 3 + ["mm"] * 3
    start, end = (found[side]["rotation_degrees"] + found[side]["translation_mm"] for side in ("start", "end"))
    rows = [
        (f"{n} [{u}]", f"{round(a, 3) + 0:.3f}", f"{round(b, 3) + 0:.3f}")
        for n, u, a, b in zip(names, units, start, end)
    ]
    table(f"Pose in {folder}", ("about the center of the CT", "start", "end"), rows)
    sure, change = found["uncertainty"], found["change"]
    reason = f": {found['reason']}" if found["reason"] else ""
    pairs = [
        ("verdict", found["verdict"] + reason),
        ("change", f"{change['degrees']:.3f} degrees, {change['mm']:.3f} mm"),
        ("uncertainty", f"{_mm(sure['point_mm'])} of a point, {_mm(sure['depth_mm'])} in depth"),
        *((Path(x["file"]).name, x["grey_scale"]) for x in found["xrays"]),
        ("time", f"{found['seconds']:.1f} s"),
    ]
    facts("Evidence", pairs)


def _mm(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f} mm"
