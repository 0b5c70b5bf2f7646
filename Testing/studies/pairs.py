"""The pairs of images of the shared data with a known answer, and what a transform between them is worth."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.files import read_image
from DiffRegLib.files.opening import open_file
from DiffRegLib.image import Image
from DiffRegLib.review.metrics import dice, folding, mean_dice
from DiffRegLib.transforms import Affine, Transform

DATA = Path(os.environ.get("DIFFREG_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
BETWEEN_PATIENTS = "interpatient"
FILES = {
    "abdomen": ("abdomen_known_warp/fixed_ct", "abdomen_known_warp/fixed_seg", "abdomen_ct/ct", "abdomen_ct/seg"),
    "lung": tuple(f"lung_ct_known_warp/{name}" for name in ("fixed_ct", "fixed_seg", "moving_ct", "moving_seg")),
    "brain": tuple(f"brain_mr/{name}_2mm" for name in ("fixed_t1", "fixed_seg", "moving_t1", "moving_seg")),
    "abdomen-sibling": (
        "abdomen_sibling_warp/fixed",
        "abdomen_sibling_warp/fixed_seg",
        "abdomen_ct/ct",
        "abdomen_ct/seg",
    ),
    "lung-sibling": (
        "lung_sibling_warp/fixed",
        "lung_sibling_warp/fixed_seg",
        "lung_ct_known_warp/moving_ct",
        "lung_ct_known_warp/moving_seg",
    ),
    "brain-sibling": (
        "brain_sibling_warp/fixed",
        "brain_sibling_warp/fixed_seg",
        "brain_mr/moving_t1_2mm",
        "brain_mr/moving_seg_2mm",
    ),
    BETWEEN_PATIENTS: (
        "interpatient_ct/fixed_image",
        "interpatient_ct/fixed_seg",
        "abdomen_ct/ct",
        "abdomen_ct/seg",
    ),
}
"""Fixed image and labels, moving image and labels, below the folder of the data."""
HEAD = "error, mean [mm] | largest | Dice | folded [%] | least determinant"


@dataclass(frozen=True)
class Pair:
    """Two images, their label maps, and landmarks (N, 3) RAS mm where their motion is known.

    start: fixed -> moving, given to every method: the identity, but between patients, whose headers have nothing in
    common. paths: of the images.
    """

    name: str
    images: tuple[Image, Image]
    labels: tuple[Image, Image]
    landmarks: tuple[Tensor, Tensor] | None
    start: Affine
    paths: tuple[str, str]


@dataclass(frozen=True)
class Worth:
    """Mean and largest distance of landmarks in mm, mean Dice of the labels on both sides, folds where they count."""

    mean: float | None
    largest: float | None
    dice: float
    folded: float
    determinant: float

    def __str__(self) -> str:
        error = "- | -" if self.mean is None else f"{self.mean:.2f} | {self.largest:.1f}"
        return f"{error} | {self.dice:.3f} | {self.folded:.3f} | {self.determinant:.2f}"


def load(name: str) -> Pair:
    """A set of the shared data; labels that both patients of `interpatient` have get the same numbers."""
    paths = [str(DATA / f"{path}.nii.gz") for path in FILES[name]]
    images = read_image(paths[0]), read_image(paths[2])
    labels = tuple(open_file(paths[n], labels=True).content for n in (1, 3))
    if name == BETWEEN_PATIENTS:
        told = json.loads((DATA / "interpatient_ct" / "pair.json").read_text())
        shared = told["shared_labels"].values()
        labels = tuple(
            merged(image, [label[side] for label in shared]) for image, side in zip(labels, ("fixed", "moving"))
        )
        start = Affine(torch.tensor(told["init_fixed_to_moving"], dtype=torch.float64))
        return Pair(name, images, labels, None, start, (paths[0], paths[2]))
    points = np.load(Path(paths[0]).parent / "landmarks.npz")
    landmarks = torch.tensor(points["fixed"]), torch.tensor(points["moving"])
    return Pair(name, images, labels, landmarks, Affine.identity(), (paths[0], paths[2]))


def merged(image: Image, groups: list[list[int]]) -> Image:
    """Label n for every voxel that has one of the values of group n, from 1."""
    data = torch.zeros_like(image.data)
    for number, values in enumerate(groups, 1):
        data[torch.isin(image.data, torch.tensor(values).to(image.data))] = number
    return Image(data, image.affine)


def worth(pair: Pair, transform: Transform) -> Worth:
    """Measures a transform fixed -> moving; folds are counted on the grid of the field or a finer one."""
    fixed, moving = pair.labels
    overlap = mean_dice(dice(fixed, moving.resample(fixed, transform, "nearest")))
    folds = folding(transform, pair.images[0].geometry)
    mean = largest = None
    if pair.landmarks is not None:
        error = (transform(pair.landmarks[0]) - pair.landmarks[1]).norm(dim=1)
        mean, largest = float(error.mean()), float(error.max())
    return Worth(mean, largest, overlap, folds.percent, folds.minimum)
