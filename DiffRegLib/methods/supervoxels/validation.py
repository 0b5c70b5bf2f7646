"""How well a network registers, while it is trained: the Dice of labels that its supervoxels carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.augmentation import appearance, places, read
from DiffRegLib.methods.supervoxels.model import predict
from DiffRegLib.methods.supervoxels.network import SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import SupervoxelOptions, TrainingOptions
from DiffRegLib.methods.supervoxels.pipeline import Side, register
from DiffRegLib.methods.supervoxels.preparation import body
from DiffRegLib.review.metrics import dice, mean_dice

SEED = 2_000_033
"""Of the motion of what is validated, which no step of a training draws."""
MATCHING = SupervoxelOptions(points=1024, iterations=50)
"""A quarter of the key points and half of the steps: every training repeats this many times."""


@dataclass(frozen=True, eq=False)
class Labeled:
    """A scan in the box: HU (1, D, H, W) on the grid of the supervoxels, and its labels (1, D, H, W), integers."""

    scan: Tensor
    labels: Tensor


def carried_dice(
    network: SupervoxelNetwork, known: Sequence[Labeled], spacing: float, options: TrainingOptions
) -> float:
    """The mean Dice of the labels of `known[0]`, the reference, as the supervoxels of a network carry them to `known`.

    spacing: of the voxels, in mm. Every scan lies there as a motion of `options` has left it that the training does
    not show; the network is left as it was, in training or not.
    """
    trained = network.training
    network.eval()
    affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64))
    moving = _side(network, Image(known[0].scan, affine))
    labels = Image(known[0].labels, affine)
    generator = torch.Generator().manual_seed(SEED + options.seed)
    found = []
    for one in known:
        place = places(one.scan.shape[1:], spacing, options, generator)
        fixed = _side(network, Image(appearance(read(one.scan, place), spacing, options, generator), affine))
        voxels = ((place[0] + 1) * moving.scan.geometry.size.float() - 1) / 2
        wanted = Image(one.labels, affine).sample(moving.scan.to_world(voxels), "nearest", "border")
        transform = register(fixed.scan, moving.scan, MATCHING, sides=(fixed, moving)).transform
        found.append(mean_dice(dice(Image(wanted, affine), labels.resample(fixed.scan, transform, "nearest"))))
    network.train(trained)
    return sum(found) / len(found)


def _side(network: SupervoxelNetwork, scan: Image) -> Side:
    inside = body(scan)
    prediction = predict(network, scan, inside)
    return Side(scan, inside, prediction.layers, network.classes, prediction.confidence)
