"""The pairs of images of the shared data with a known answer, and what a transform between them is worth."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.review.metrics import dice, folding, mean_dice
from DiffRegLib.transforms import Transform

DATA = Path(os.environ.get("DIFFREG_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclass(frozen=True)
class Pair:
    """Files below the folder of the data; the landmarks' archive has the arrays `fixed` and `moving`."""

    fixed: str
    moving: str
    landmarks: str
    fixed_labels: str
    moving_labels: str

    def images(self) -> tuple[Image, Image]:
        """The fixed and the moving image."""
        return read_image(DATA / self.fixed), read_image(DATA / self.moving)


ABDOMEN, LUNG, BRAIN = "abdomen_ct", "lung_ct_known_warp", "brain_mr"
PAIRS = {
    "abdomen": Pair(
        "abdomen_known_warp/fixed_ct.nii.gz",
        f"{ABDOMEN}/ct.nii.gz",
        "abdomen_known_warp/landmarks.npz",
        "abdomen_known_warp/fixed_seg.nii.gz",
        f"{ABDOMEN}/seg.nii.gz",
    ),
    "abdomen sibling": Pair(
        "abdomen_sibling_warp/fixed.nii.gz",
        f"{ABDOMEN}/ct.nii.gz",
        "abdomen_sibling_warp/landmarks.npz",
        "abdomen_sibling_warp/fixed_seg.nii.gz",
        f"{ABDOMEN}/seg.nii.gz",
    ),
}


@dataclass(frozen=True)
class Worth:
    """Mean and largest distance of landmarks in mm, mean Dice of the labels on both sides, folded voxels in percent."""

    mean: float
    largest: float
    dice: float
    folded: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} | {self.largest:.1f} | {self.dice:.3f} | {self.folded:.3f}"


def worth(pair: Pair, transform: Transform) -> Worth:
    """Measures a transform fixed -> moving; folds are counted on the grid of the field or a finer one."""
    arrays = np.load(DATA / pair.landmarks)
    fixed, moving = (torch.as_tensor(arrays[side]).float() for side in ("fixed", "moving"))
    error = (transform(fixed) - moving).norm(dim=1)
    labels, source = read_image(DATA / pair.fixed_labels), read_image(DATA / pair.moving_labels)
    overlap = mean_dice(dice(labels, source.resample(labels.geometry, transform, "nearest")))
    return Worth(float(error.mean()), float(error.max()), overlap, folding(transform, labels).percent)
