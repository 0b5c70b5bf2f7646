"""`diffreg pose CT XRAY... -o OUT`: where the patient was when the X-rays were taken."""

from __future__ import annotations

import argparse
from dataclasses import replace

from DiffRegLib.cli import register
from DiffRegLib.cli.inputs import add_inputs, check_weights, given_inputs
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input
from DiffRegLib.methods.method import Method
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import from_arguments, to_dict
from DiffRegLib.radiographs.options import ImagingOptions

WORDED_HERE = ("start", "network")  # inputs that are given as numbers too, or by an option


def add_arguments(parser: argparse.ArgumentParser, method: Method) -> None:
    """The flags of this verb, those of the options dataclasses among them."""
    parser.description = (
        "Estimate the rigid pose of a CT in the world of a C-arm from one or more X-rays of it. OUT gets transform.h5 "
        "(CT world to C-arm world, ITK) and inverse.h5, metrics.json, overview.png, and a radiograph of the CT a view."
    )
    add_inputs(parser, [entry for entry in method.inputs if entry.role not in WORDED_HERE])
    register.add_output(parser)
    text = (
        "start pose: a .tfm or .h5 (CT world to C-arm world), or rx ry rz tx ty tz, degrees and mm about the center of "
        "the CT (default: that of the geometry, or none)"
    )
    parser.add_argument("--start", metavar="POSE", nargs="+", default=[], help=text)
    add_options(parser, ImagingOptions, "from files to radiographs")
    add_options(parser, PoseOptions, "pose estimation")


def run(given: argparse.Namespace, method: Method) -> int:
    """Makes the job, runs it in a child process, and prints the pose and how sure it is."""
    start, pose = start_of(given.start), from_arguments(PoseOptions, given)
    options = {
        "pose": to_dict(replace(pose, network="")),  # the job knows it as an input, with its checksum
        "imaging": to_dict(from_arguments(ImagingOptions, given)),
        "start": {"pose": start if isinstance(start, list) else []},
    }
    inputs = given_inputs(given, [entry for entry in method.inputs if entry.role not in WORDED_HERE])
    inputs |= {"start": start} if isinstance(start, str) else {}
    inputs |= {"network": check_weights(pose.network, "the network")} if pose.network else {}
    if (given.landmarks is None) != (given.clicks is None):
        raise RegistrationError(
            "{landmarks} and {clicks} belong together: give both or none.", option=("landmarks", "clicks")
        )
    return register.register(given, method, inputs, options)


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
        f"{{start}} is {' '.join(words)}: give a file, or six numbers rx ry rz tx ty tz in degrees and mm.",
        option="start",
    )
