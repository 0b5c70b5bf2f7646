"""The table under the patient, which may have moved between two X-rays of one pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError

DOWN, TO_HEAD, TO_LEFT = (0, -1, 0), (0, 0, 1), (-1, 0, 0)
MOTION = "0018|1134"
INCREMENTS = {"0018|1135": DOWN, "0018|1136": TO_HEAD, "0018|1137": TO_LEFT}
POSITIONS = {"300a|0128": DOWN, "300a|012a": TO_HEAD, "300a|0129": TO_LEFT}
"""Where a mm of the tags Vertical, Lateral and Longitudinal moves the table, RAS of a patient who lies supine, head
first: since the first frame, and from a place of the maker's. DICOM's operator stands at the table's side (PS3.3
C.8.7.4, C.8.19.6.11)."""
TILTS = ("0018|1138", "0018|9469", "0018|9470", "0018|9471")
"""Angles of the table in degrees."""
LYING = "0018|5100"
TURNED = {"HFS": (1, 1, 1), "HFP": (-1, -1, 1), "FFS": (-1, 1, -1), "FFP": (1, -1, -1)}
"""Where R, A and S of a patient point who lies otherwise (tag PatientPosition); where none is stated, not otherwise."""
TAGS = (MOTION, *INCREMENTS, *POSITIONS, *TILTS, LYING)
"""All that is read of a table."""
SAME_TILT = 0.1
"""Degrees by which a table at rest may seem turned: angles are rounded."""


def table_moves(views: Sequence[Mapping[str, str]], names: Sequence[str]) -> list[Tensor]:
    """How far (3,) float64 the table carried the patient between the first view and each, RAS mm of the patient.

    views: the DICOM tags "gggg|eeee" of each; of a frame of a run, its own. What a file does not say did not move.
    Raises RegistrationError where the table was turned, as no tag says about which point, where it moved by nobody
    knows how much, or under a patient who lies on a side or was turned over.
    """
    for tags, name in zip(views, names):
        if (
            len(views) > 1
            and tags.get(MOTION, "").strip() == "DYNAMIC"
            and not any(map(tags.get, INCREMENTS | POSITIONS))
        ):
            raise RegistrationError(
                f"{name} says that the table moved, and not how far: give the geometry as a file with {{geometry}}.",
                option="geometry",
                path=name,
            )
    for tag in TILTS:
        angles = _stated(views, tag)
        if angles and max(angles) - min(angles) > SAME_TILT:
            raise RegistrationError(
                f"The table was turned between {names[0]} and another view (DICOM tag {tag.replace('|', ',')}): "
                "give their geometry as a file with {geometry}.",
                option="geometry",
                path=names[0],
            )
    moves = torch.zeros(len(views), 3, dtype=torch.float64)
    for tag, way in (INCREMENTS | POSITIONS).items():
        steps = torch.tensor(_stated(views, tag) or [0.0] * len(views), dtype=torch.float64)
        moves += (steps - steps[0])[:, None] * torch.tensor(way)
    lying = {tags.get(LYING, "").strip() or "HFS" for tags in views}
    if len(lying) > 1 or (moves.any() and not lying <= set(TURNED)):
        stated = " and ".join(sorted(lying))
        raise RegistrationError(
            f"{names[0]} and another view say that the patient lies {stated} (DICOM tag 0018,5100) on a table that may "
            "have moved: give their geometry as a file with {geometry}.",
            option="geometry",
            path=names[0],
        )
    return list(moves * torch.tensor(TURNED.get(lying.pop(), TURNED["HFS"])))


def _stated(views: Sequence[Mapping[str, str]], tag: str) -> list[float]:
    """The numbers of a tag, or none unless every view has one."""
    try:
        return [float(tags[tag]) for tags in views]
    except (KeyError, ValueError):
        return []
