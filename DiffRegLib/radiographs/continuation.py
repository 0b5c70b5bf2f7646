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
import torch.nn.functional as F
from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.radiographs.attenuation import WATER
from DiffRegLib.radiographs.resolution import pooled

BODY = 0.25 * WATER  # 1/mm; above it a voxel is body, lungs included in part
CUT = 0.5  # of the largest section parallel to a face; where less of the face is body, the body ends close beyond it
DENSEST = 1.5 * WATER  # 1/mm; bone, but no implant, goes on beyond a face
SMOOTH = 30.0  # mm; width of the mean at a face: nothing is left of repeated ribs, of the body its outline
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
    smooth = _smooth(Image(inner.data.clamp(max=DENSEST), inner.affine))
    sides = _voxels(inner, cut, reach)
    whole = _widened(smooth, sides)
    whole.data[0][_inside(inner, sides)] = inner.data[0]
    sides = _voxels(inner, cut, FAR * reach)
    beyond = _widened(smooth, sides)
    beyond.data[0] *= _fading(inner, sides, reach).to(beyond.data)
    beyond = pooled(beyond, COARSE)
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


def _smooth(image: Image) -> Image:
    """The mean over cubes of `SMOOTH` mm; at a face, over the part of the cube that the image has."""
    spacing, data = image.affine[:3, :3].norm(dim=0).flip(0).tolist(), image.data[None]
    for axis, mm in enumerate(spacing):  # one axis after the other: a cube of 30 voxels would cost 300 times as much
        most = (data.shape[2 + axis] - 1) // 2  # of a CT of few voxels: its whole width
        reach = [min(int(SMOOTH / 2 / mm), most) * (axis == other) for other in range(3)]
        data = F.avg_pool3d(data, [2 * n + 1 for n in reach], 1, reach, count_include_pad=False)
    return Image(data[0], image.affine)


def _voxels(image: Image, cut: Cut, reach: float) -> list[list[int]]:
    """How many voxels to add before and after, along k, j and i, where the body goes on."""
    spacing = image.affine[:3, :3].norm(dim=0).flip(0).tolist()
    return [[math.ceil(reach / mm) * end for end in ends] for ends, mm in zip(cut, spacing)]


def _inside(image: Image, sides: list[list[int]]) -> tuple[slice, ...]:
    return tuple(slice(before, before + count) for (before, _), count in zip(sides, image.shape))


def _fading(image: Image, sides: list[list[int]], reach: float) -> Tensor:
    """(D,H,W): 0 in the image, 1 as far beyond it as the volume is continued, further out faint."""
    spacing = image.affine[:3, :3].norm(dim=0).flip(0).tolist()
    ways = []
    for (before, after), count, mm in zip(sides, image.shape, spacing):
        place = torch.arange(-before, count + after)
        ways.append(mm * torch.maximum(-place, place - count + 1).clamp(min=0))
    away = torch.stack(torch.meshgrid(*ways, indexing="ij")).amax(0)
    return torch.where(away > reach, FAINT, (away > 0).float())


def _widened(image: Image, sides: list[list[int]]) -> Image:
    """Adds voxels that repeat the outermost ones; sides: how many before and after, along k, j and i."""
    data = F.pad(image.data[None], [n for ends in reversed(sides) for n in ends], mode="replicate")[0]
    first = torch.tensor([-float(before) for before, _ in reversed(sides)], dtype=torch.float64)
    affine = image.affine.clone()
    affine[:3, 3] = image.to_world(first)
    return Image(data, affine)
