"""Two label maps with the same numbers for the same structures: by name where both have names, else by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.opening import Opened
from DiffRegLib.image import Image


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """Label maps of both sides whose numbers mean the same; several channels where segments overlap.

    names: number -> name, of those that have one. by: what the structures were matched by. lone: what only the fixed
    and only the moving side has, as names or numbers.
    """

    fixed: Image
    moving: Image
    names: Mapping[int, str]
    by: Literal["name", "number"]
    lone: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def note(self) -> str:
        """What a person has to be told, or "": which structures stand on one side alone."""
        told = [f"only the {side} side has {', '.join(n)}" for side, n in zip(("fixed", "moving"), self.lone) if n]
        return f"Structures: {'; '.join(told)}." if told else ""


def matched_labels(fixed: Opened, moving: Opened) -> LabelMaps:
    """Both label maps with common numbers.

    Where both sides have named segments, equal names become equal numbers, first those that both have; two
    segmentations of one segment each are partners whatever their names. Otherwise the numbers are taken as they are.
    Raises `RegistrationError` where nothing is on both sides, a name occurs twice, or a number means two things.
    """
    if fixed.segments and moving.segments:
        return _by_name(fixed, moving)
    for side in (fixed, moving):
        _check_unique(side)
    present = [sorted(set(side.content.data.unique().tolist()) - {0}) for side in (fixed, moving)]
    lone = tuple(tuple(str(v) for v in mine if v not in set(theirs)) for mine, theirs in (present, present[::-1]))
    if not set(present[0]) & set(present[1]):
        raise RegistrationError(
            f"{fixed.path} and {moving.path} have no label in common: give maps that number organs alike."
        )
    names = {s.value: s.name for side in (moving, fixed) for s in side.segments}
    return LabelMaps(fixed.content, moving.content, names, "number", lone)


def renumbered(fixed: Opened, moving: Opened) -> tuple[Opened, Opened]:
    """Both label maps with common numbers and the segments that carry them, see `matched_labels`, to be registered."""
    maps = matched_labels(fixed, moving)
    number = {name: value for value, name in maps.names.items()}

    def with_numbers(side: Opened, image: Image) -> Opened:
        if maps.by == "number":
            return side
        twin = len(fixed.segments) == len(moving.segments) == 1
        named = [number[fixed.segments[0].name if twin else s.name] for s in side.segments]
        segments = tuple(replace(s, value=value) for s, value in zip(side.segments, named))
        return replace(side, content=image, segments=segments, dtype="int32")

    return with_numbers(fixed, maps.fixed), with_numbers(moving, maps.moving)


def _by_name(fixed: Opened, moving: Opened) -> LabelMaps:
    first, second = (_names(side) for side in (fixed, moving))
    both = [name for name in first if name in second]
    if not both and len(first) == len(second) == 1:
        both, second = first, first
    elif not both:
        raise RegistrationError(
            f"{fixed.path} and {moving.path} have no segment name in common: rename the segments that belong together."
        )
    order = [*both, *(n for n in first if n not in both), *(n for n in second if n not in both)]
    number = {name: n + 1 for n, name in enumerate(order)}
    images = [_renumbered(side, [number[name] for name in names]) for side, names in ((fixed, first), (moving, second))]
    lone = tuple(tuple(name for name in names if name not in both) for names in (first, second))
    return LabelMaps(*images, {n: name for name, n in number.items()}, "name", lone)


def _names(side: Opened) -> list[str]:
    names = [segment.name for segment in side.segments]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise RegistrationError(f"{side.path} has the segment name {twice[0]!r} twice: rename one of them.")
    return names


def _renumbered(side: Opened, numbers: list[int]) -> Image:
    data = torch.zeros_like(side.content.data, dtype=torch.int32)
    for segment, number in zip(side.segments, numbers):
        data[segment.layer][side.content.data[segment.layer] == segment.value] = number
    return Image(data, side.content.affine)


def _check_unique(side: Opened) -> None:
    """Raises where a number stands in two layers for two segments, so that it names none of them."""
    by_value: dict[int, list[str]] = {}
    for segment in side.segments:
        by_value.setdefault(segment.value, []).append(segment.name)
    for value, names in by_value.items():
        if len(names) > 1:
            raise RegistrationError(
                f"{side.path} has overlapping segments of one number ({' and '.join(names)} are both {value}), and the "
                "other side has no names: give two segmentations with names."
            )
    if not side.segments and side.content.channels > 1:
        raise RegistrationError(f"{side.path} has {side.content.channels} values a voxel: give one label map.")
