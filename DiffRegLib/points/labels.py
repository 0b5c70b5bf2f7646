"""Points on the borders of the labels of a label map, placed between voxels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv3d, pad

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.points.cloud import PointCloud
from DiffRegLib.points.sampling import thin, with_mean_one

SMOOTHING = 0.8  # voxels, sigma of the Gaussian on the one-hot map
BAND = 1.0  # voxels between the center of a voxel and the border that it stands for
FAINTEST = 0.02  # per voxel: below it the gradient has no direction worth following


def cloud_from_labels(
    image: Image,
    points_per_label: int = 2000,
    seed: int = 0,
    labels: tuple[int, ...] | None = None,
    name: str = "the label map",
) -> PointCloud:
    """At most `points_per_label` points on the border of every label, one channel a label.

    image: (C, D, H, W) whole numbers, 0 is background, a channel a layer where structures overlap; labels: the values
    to take, all by default. A point lies where the smoothed one-hot map of its label is one half, to a fraction of a
    voxel; where the image cuts a label there is no border and there are no points. The weight is the area (mm^2) that
    a point stands for, divided by its mean in the channel. Raises `RegistrationError` for a map without labels and
    for a label that is not in it.
    """
    wanted = _wanted_labels(image, labels, name)
    parts = []
    for value in wanted:
        points, area = border_elements(image, value)
        if len(points) == 0:
            raise RegistrationError(f"Label {value} of {name} fills the image and has no border: leave it out.")
        points, area = thin(points, area, points_per_label, seed)
        parts.append((points, with_mean_one(area)))
    channels = torch.cat([torch.full((len(p),), c, dtype=torch.int64) for c, (p, _) in enumerate(parts)])
    return PointCloud(torch.cat([p for p, _ in parts]), torch.cat([w for _, w in parts]), channels, wanted)


def border_elements(image: Image, value: int) -> tuple[Tensor, Tensor]:
    """Points (N, 3) float32 RAS mm on the border of one label and the area (N,) in mm^2 of each.

    The area of a voxel is the length of the gradient of the smoothed one-hot map times the voxel's volume: by the
    coarea formula these sum to the area of the border.
    """
    inside = (image.data == value).any(0)
    box, start = _box(inside, margin=4)
    # beyond the image the label goes on as at its border, so that a cut is not taken for a surface
    share = _smoothed(pad(inside[box][None].float(), [4] * 6, mode="replicate")[0])
    gradient = torch.stack([_central(share, axis) for axis in (2, 1, 0)], dim=-1)[4:-4, 4:-4, 4:-4]
    share = share[4:-4, 4:-4, 4:-4]
    to_mm = torch.linalg.inv(image.affine[:3, :3]).float()
    world_gradient = gradient @ to_mm
    area = world_gradient.norm(dim=-1) * float(torch.linalg.det(image.affine[:3, :3]).abs())
    level = share.max() / 2  # one half, unless the label is so thin that smoothing leaves less than one of it
    squared = (gradient**2).sum(-1)
    step = (level - share)[..., None] * gradient / squared.clamp(min=1e-12)[..., None]
    near = (squared > FAINTEST**2) & (step.norm(dim=-1) <= BAND)
    index = torch.nonzero(near).flip(1).float() + step[near] + torch.tensor(start[::-1], dtype=torch.float32)
    share_of_area = area[near]
    if len(index):
        share_of_area = share_of_area * (area.sum() / share_of_area.sum())
    return image.to_world(index.double()).float(), share_of_area


def _wanted_labels(image: Image, labels: tuple[int, ...] | None, name: str) -> tuple[int, ...]:
    if image.data.is_floating_point():
        if image.channels != 1 or not bool((image.data == image.data.round()).all()):
            raise RegistrationError(f"{name} is no label map (several channels or broken numbers): give whole numbers.")
        if float(image.data.min()) < 0:
            raise RegistrationError(f"{name} has negative values, so it is no label map: give whole numbers from 0.")
    present = tuple(int(v) for v in torch.unique(image.data).tolist() if v != 0)
    if not present:
        raise RegistrationError(f"{name} has no labels, all its voxels are 0: give a label map with structures.")
    missing = set(labels or ()) - set(present)
    if missing:
        raise RegistrationError(
            f"{name} has no label {', '.join(map(str, sorted(missing)))}: choose among {', '.join(map(str, present))}."
        )
    return tuple(labels) if labels else present


def _box(inside: Tensor, margin: int) -> tuple[tuple[slice, ...], list[int]]:
    box = []
    for axis, n in enumerate(inside.shape):
        filled = torch.nonzero(inside.movedim(axis, 0).flatten(1).any(dim=1))[:, 0]
        box.append(slice(max(int(filled[0]) - margin, 0), min(int(filled[-1]) + margin + 1, n)))
    return tuple(box), [s.start for s in box]


def _smoothed(volume: Tensor) -> Tensor:
    offsets = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-(offsets**2) / (2 * SMOOTHING**2))
    kernel = kernel / kernel.sum()
    volume = volume[None, None]
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = -1
        width = [0] * 6
        width[4 - 2 * axis] = width[5 - 2 * axis] = 3
        volume = conv3d(pad(volume, width, mode="replicate"), kernel.reshape(shape))
    return volume[0, 0]


def _central(volume: Tensor, axis: int) -> Tensor:
    return torch.gradient(volume, dim=axis)[0]
