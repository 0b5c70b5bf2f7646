"""`diffreg evaluate TRANSFORM`: measures a transform with landmarks, labels, and by where it folds."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from DiffRegLib.cli.parser import add_pairs
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input

if TYPE_CHECKING:
    from DiffRegLib.files.structures import LabelMaps
    from DiffRegLib.geometry import Geometry
    from DiffRegLib.points.listed import Pairs
    from DiffRegLib.transforms import Transform

MOST = 2**21  # points at which the inverse is tried


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    parser.add_argument("transform", metavar="TRANSFORM", help="transform (fixed -> moving), or a result folder")
    add_pairs(parser)
    parser.add_argument(
        "--like",
        metavar="IMAGE",
        help="image in whose box folds are counted (default: that of labels, landmarks or the transform itself)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(given: argparse.Namespace) -> int:
    """Prints the measures of the transform."""
    check_input(given.transform, ("transform",), "the transform")
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
    "fixed_labels": "labels",
    "moving_labels": "labels",
    "like": "image",
}


def _measure(given: argparse.Namespace) -> dict:
    from DiffRegLib.files import matched_labels, open_file
    from DiffRegLib.points.listed import paired
    from DiffRegLib.review.metrics import inverse_consistency
    from DiffRegLib.review.report import measure

    opened = open_file(given.transform, ("transform",))
    landmarks = labels = None
    if given.fixed_landmarks:
        paths = given.fixed_landmarks, given.moving_landmarks
        landmarks = paired(*(open_file(path, ("points",)).content for path in paths), paths)
    if given.fixed_labels:
        labels = matched_labels(*(open_file(p, ("labels",)) for p in (given.fixed_labels, given.moving_labels)))
    box = _box(given, opened.content, landmarks, labels)
    maps, names = ((labels.fixed, labels.moving), labels.names) if labels else (None, None)
    metrics = measure(opened.content, box, landmarks, maps, names=names).to_dict()
    if opened.inverse is not None:
        metrics["inverse_residual_mm"] = inverse_consistency(opened.content, opened.inverse, _spread(box).grid()).max
    return metrics


def _box(
    given: argparse.Namespace, transform: Transform, landmarks: Pairs | None, labels: LabelMaps | None
) -> Geometry:
    """The grid that was named, or that of the labels, the box of the landmarks, or the transform's own."""
    from DiffRegLib.files import around, read_grid
    from DiffRegLib.transforms import Composite

    if given.like:
        return read_grid(given.like)
    if labels is not None:
        return labels.fixed.geometry
    if landmarks is not None:
        return around(landmarks.fixed, 2.0)
    parts = transform.transforms if isinstance(transform, Composite) else (transform,)
    own = next((g for part in parts if (g := part.default_geometry()) is not None), None)
    if own is None:
        raise RegistrationError(f"{given.transform} has no grid of its own: name one with --like, or give landmarks.")
    return own


def _spread(box: Geometry) -> Geometry:
    """The same box with so many points that the largest residual shows, and not so many that the memory fills."""
    voxels = float(box.size.prod())
    return box if voxels <= MOST else box.resized(float(box.spacing.prod() * voxels / MOST) ** (1 / 3))
