"""The body goes on where the CT ends: what rays meet beyond a cut face, and how much of each ray is known.

A CT ends at the faces of its box, or at the padding around what was scanned. Where a face cuts through the body, X-rays
show more of it. The CT is therefore continued as it ends, by the values at its face: no edge appears in a radiograph
where the patient has none. What lies beyond is a guess, and the part of a ray that it makes up says how little the CT
knows of that ray.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.ops.axes import box, filter_axes, linear
from DiffRegLib.radiographs.attenuation import WATER

BODY = 0.25 * WATER  # 1/mm; above it a voxel is body, lungs included in part
CUT = 0.5  # of the largest section parallel to a face; where less of the face is body, the body ends close beyond it
DENSEST = 1.5 * WATER  # 1/mm; bone, but no implant, goes on beyond a face
SMOOTH = 30.0  # mm; width of the mean at a face: nothing is left of repeated ribs, of the body its outline
NODE = 5.0  # mm between the means that are computed; between them they are interpolated
COARSE = 10.0  # mm; voxels of what lies beyond, of which only the amount matters
FAR, FAINT = 4.0, 0.1  # times the reach, to which it is followed, and times the attenuation with which it is
REACH = 50.0  # mm beyond a face; further out a ray that matters has left the body, or is hardly known

Cut = tuple[tuple[bool, bool], ...]
"""For axes k, j and i, whether the body goes on before the first and beyond the last voxel."""


@dataclass(frozen=True)
class Continuation:
    """volume: attenuation (1,D,H,W) a mm with the body going on; beyond: what was guessed, 0 inside the CT.

    The latter is in coarse voxels, reaches further out and fades: a ray that misses the CT there is not taken for
    one through air.

    cut: for axes k, j, i of the CT, whether the body goes on before its first and beyond its last voxel.
    """

    volume: Image
    beyond: Image
    cut: Cut

    @classmethod
    def none(cls, volume: Image) -> Continuation:
        """For radiographs that end where the CT ends."""
        return cls(volume, Image(torch.zeros_like(volume.data), volume.affine), ((False, False),) * 3)

    @property
    def whole(self) -> bool:
        """Whether the CT holds all of the body."""
        return not any(end for ends in self.cut for end in ends)


def continued(volume: Image, reach: float = REACH) -> Continuation:
    """Continues attenuation (1,D,H,W) a mm by `reach` mm beyond the faces that cut the body."""
    inner = without_padding(volume)
    cut = cut_faces(inner.data[0] > BODY)
    mean, sides, far = _Mean(inner), _voxels(inner, cut, reach), _voxels(inner, cut, FAR * reach)
    whole = mean.around(sides, [1, 1, 1])
    whole.data[0][_inside(inner, sides)] = inner.data[0]
    blocks = [max(1, int(COARSE / mm + 1e-6)) for mm in _spacing(inner)]
    beyond = mean.around(far, blocks)
    beyond.data[0] *= _fading(inner, far, blocks, reach).to(beyond.data)
    return Continuation(whole, beyond, cut)


def without_padding(volume: Image) -> Image:
    """The smallest box that holds every voxel above the lowest value."""
    known = volume.data[0] > volume.data.min()
    if not bool(known.any()):
        return volume
    ends = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = known.any(others[1]).any(others[0]).nonzero().flatten()
        ends.append((int(filled[0]), int(filled[-1]) + 1))
    first = volume.to_world(torch.tensor([float(low) for low, _ in reversed(ends)], dtype=torch.float64))
    affine = volume.affine.clone()
    affine[:3, 3] = first
    return Image(volume.data[(slice(None), *(slice(a, b) for a, b in ends))], affine)


def cut_faces(body: Tensor) -> Cut:
    """Of a mask (D,H,W): for each axis, whether its first and its last section is more than half of the largest.

    The two outermost sections count as one: the last of a scan may be half a section, or overwritten.
    """
    cut = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        area = body.float().mean(others)
        most = float(area.max())
        first, last = (most > 0 and float(end.max()) > CUT * most for end in (area[:2], area[-2:]))
        cut.append((first, last))
    return tuple(cut)


class _Mean:
    """The mean over cubes of `SMOOTH` mm, at nodes `NODE` mm apart; at a face over what the image has of the cube."""

    def __init__(self, image: Image) -> None:
        self._image, data, ways = image, image.data.clamp(max=DENSEST), []
        for n, mm in zip(image.shape, _spacing(image)):
            nodes = min(n, math.ceil((n - 1) * mm / NODE) + 1)
            at = torch.linspace(0, n - 1, nodes).to(data)
            ways.append(linear(at, n) @ box(n, int(SMOOTH / 2 / mm), data))
        self._nodes = filter_axes(data, ways)

    def around(self, sides: list[list[int]], blocks: list[int]) -> Image:
        """At the middle of blocks of voxels of the image and `sides` before and after it, along k, j and i."""
        ways, firsts, affine = [], [], self._image.affine.clone()
        for (before, after), n, size, nodes in zip(sides, self._image.shape, blocks, self._nodes.shape[1:]):
            count = math.ceil((before + n + after) / size)
            at = (torch.arange(count) + 0.5) * size - 0.5 - before
            ways.append(linear(at.to(self._nodes) * (nodes - 1) / max(n - 1, 1), nodes))
            firsts.append(float(at[0]))
        affine[:3, 3] = self._image.to_world(torch.tensor(firsts[::-1], dtype=torch.float64))
        affine[:3, :3] *= torch.tensor(blocks[::-1]).to(affine)
        return Image(filter_axes(self._nodes, ways), affine)


def _spacing(image: Image) -> list[float]:
    """Along k, j and i, mm."""
    return image.affine[:3, :3].norm(dim=0).flip(0).tolist()


def _voxels(image: Image, cut: Cut, reach: float) -> list[list[int]]:
    """How many voxels to add before and after, along k, j and i, where the body goes on."""
    return [[math.ceil(reach / mm) * end for end in ends] for ends, mm in zip(cut, _spacing(image))]


def _inside(image: Image, sides: list[list[int]]) -> tuple[slice, ...]:
    return tuple(slice(before, before + count) for (before, _), count in zip(sides, image.shape))


def _fading(image: Image, sides: list[list[int]], blocks: list[int], reach: float) -> Tensor:
    """(D,H,W), means of blocks: 0 in the image, 1 as far beyond it as the volume is continued, further out faint."""
    parts: list[tuple[Tensor, ...]] = []
    for (before, after), n, size, mm in zip(sides, image.shape, blocks, _spacing(image)):
        count = math.ceil((before + n + after) / size) * size
        place = torch.arange(-before, count - before)
        away = mm * torch.maximum(-place, place - n + 1).clamp(min=0)
        filled = place < n + after  # the last block may be more than there is
        held = (filled, filled & (away <= reach), away == 0)
        parts.append(tuple(part.float().view(-1, size).mean(1) for part in held))
    whole, near, inside = (torch.einsum("k,j,i->kji", *ways) for ways in zip(*parts))
    return near - inside + FAINT * (whole - near)
