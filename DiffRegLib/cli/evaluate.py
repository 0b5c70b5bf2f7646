"""`diffreg evaluate TRANSFORM`: measures a transform with landmarks, labels, and by where it folds."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from DiffRegLib.cli.parser import add_pairs
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input

if TYPE_CHECKING:
    from torch import Tensor

    from DiffRegLib.geometry import Geometry
    from DiffRegLib.image import Image
    from DiffRegLib.transforms import Transform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    parser.add_argument("transform", metavar="TRANSFORM", help="transform (fixed -> moving), or a result folder")
    add_pairs(parser)
    parser.add_argument("--like", metavar="IMAGE", help="image in whose grid folds are counted (default: fixed labels)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(given: argparse.Namespace) -> int:
    """Prints the measures of the transform."""
    check_input(given.transform, ("transform", "image", "result"), "the transform")
    for role, kind in _FILES.items():
        if getattr(given, role) is not None:
            check_input(getattr(given, role), (kind,), f"--{role.replace('_', '-')}")
    for kind in ("landmarks", "labels"):
        if (getattr(given, f"fixed_{kind}") is None) != (getattr(given, f"moving_{kind}") is None):
            raise RegistrationError(f"--fixed-{kind} and --moving-{kind} belong together: give both or none.")
    metrics = _measure(given)
    if given.json:
        print(json.dumps(metrics, indent=2))
        return 0
    from DiffRegLib.cli.metrics import show_metrics

    show_metrics(given.transform, metrics)
    return 0


_FILES = {
    "fixed_landmarks": "points",
    "moving_landmarks": "points",
    "fixed_labels": "image",
    "moving_labels": "image",
    "like": "image",
}


def _measure(given: argparse.Namespace) -> dict:
    from DiffRegLib.cli.warp import read_pair
    from DiffRegLib.files import read_labels, read_landmarks
    from DiffRegLib.jobs.measures import check_landmarks, manageable
    from DiffRegLib.review.metrics import inverse_consistency
    from DiffRegLib.review.report import measure

    transform, inverse = read_pair(given.transform)
    landmarks = labels = None
    if given.fixed_landmarks:
        landmarks = (read_landmarks(given.fixed_landmarks), read_landmarks(given.moving_landmarks))
        check_landmarks((landmarks[0], given.fixed_landmarks), (landmarks[1], given.moving_landmarks))
    if given.fixed_labels:
        labels = (read_labels(given.fixed_labels), read_labels(given.moving_labels))
    geometry = manageable(_geometry(given, transform, landmarks, labels))
    metrics = measure(transform, geometry, landmarks, labels).to_dict()
    if inverse is not None:
        metrics["inverse_residual_mm"] = inverse_consistency(transform, inverse, geometry.grid()).max
    return metrics


def _geometry(
    given: argparse.Namespace,
    transform: Transform,
    landmarks: tuple[Tensor, Tensor] | None,
    labels: tuple[Image, Image] | None,
) -> Geometry:
    """The grid that was named, or that of the labels, the box of the landmarks, or the transform's own."""
    from DiffRegLib.files import read_image
    from DiffRegLib.jobs.sides import around
    from DiffRegLib.transforms import Composite

    if given.like:
        return read_image(given.like).geometry
    if labels is not None:
        return labels[0].geometry
    if landmarks is not None:
        return around(landmarks[0], 2.0)
    parts = transform.transforms if isinstance(transform, Composite) else (transform,)
    own = next((g for part in parts if (g := part.default_geometry()) is not None), None)
    if own is None:
        raise RegistrationError(f"{given.transform} has no grid of its own: name one with --like, or give landmarks.")
    return own
