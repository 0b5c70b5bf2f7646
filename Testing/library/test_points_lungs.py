"""Lungs of a chest whose shape is known, whole and cropped, and images in which there are none."""

import numpy as np
import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.points.lungs import closed, dilated, lung_mask

SPACING = 4.0


def ellipsoid(points: torch.Tensor, center: tuple, axes: tuple) -> torch.Tensor:
    return (((points - torch.tensor(center)) / torch.tensor(axes)) ** 2).sum(-1) <= 1


@pytest.fixture(scope="module")
def chest() -> tuple[Image, torch.Tensor]:
    """Body with two lungs full of vessels, a trachea and a main bronchus, bowel gas and a table; the lungs as bool."""
    shape = (75, 68, 90)
    affine = torch.diag(torch.tensor([SPACING, SPACING, SPACING, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([-180.0, -135.0, 0.0])
    points = Image(torch.zeros(1, *shape), affine).grid()
    x, y, z = points.unbind(-1)
    random = np.random.default_rng(0)
    body = (x / 165) ** 2 + (y / 105) ** 2 <= 1
    lungs = ellipsoid(points, (75.0, 0.0, 150.0), (55.0, 70.0, 100.0))
    lungs |= ellipsoid(points, (-75.0, 0.0, 150.0), (55.0, 70.0, 100.0))
    vessels = torch.zeros_like(lungs)
    for center in random.uniform([-120, -60, 60], [120, 60, 240], (60, 3)):
        direction = random.normal(size=3)
        direction /= np.linalg.norm(direction)
        offset = points - torch.from_numpy(center).float()
        along = offset @ torch.from_numpy(direction).float()
        vessels |= ((offset**2).sum(-1) - along**2 < 9) & (along.abs() < 40)
    trachea = (x**2 + (y + 10) ** 2 < 81) & (z > 190)
    bronchus = (z > 180) & (z < 195) & ((y + 10).abs() < 7) & (x > -5) & (x < 60) & ~lungs
    gas = ellipsoid(points, (60.0, 20.0, 20.0), (30.0, 30.0, 20.0)) & ~lungs
    data = torch.full(shape, -1000.0)
    data[body] = 40.0
    data[lungs] = -850.0
    data[lungs & vessels] = 30.0
    data[trachea | bronchus | gas] = -1000.0
    data[((y + 120).abs() < 4) & (x.abs() < 150)] = 200.0
    data += torch.from_numpy(random.normal(0, 15, shape)).float()
    return Image(data[None], affine), lungs


def dice(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def test_both_lungs_are_found_with_their_vessels_and_without_trachea_bowel_and_room(chest):
    image, lungs = chest
    found = lung_mask(image).data[0] > 0
    x, y, z = image.grid().unbind(-1)
    high_trachea = (x**2 + (y + 10) ** 2 < 49) & (z > 220)

    assert dice(found, lungs) > 0.95
    assert (found & high_trachea).sum() == 0
    assert (found & (z < 40)).sum() == 0


def test_a_crop_of_one_lung_is_found(chest):
    image, lungs = chest
    half = 46
    affine = image.affine.clone()
    affine[:3, 3] = image.to_world(torch.tensor([half, 0.0, 0.0], dtype=torch.float64))
    crop = Image(image.data[..., half:].clone(), affine)

    assert dice(lung_mask(crop).data[0] > 0, lungs[..., half:]) > 0.95


def test_a_head_first_image_with_flipped_axes_gives_the_same_lungs(chest):
    image, lungs = chest
    affine = image.affine.clone()
    affine[:3, 2] *= -1
    affine[:3, 3] = image.to_world(torch.tensor([0.0, 0.0, image.shape[0] - 1], dtype=torch.float64))
    flipped = Image(image.data.flip(1), affine)

    assert dice((lung_mask(flipped).data[0] > 0).flip(0), lungs) > 0.95


def test_images_without_lungs_are_refused(chest):
    image, lungs = chest
    abdomen = image.data.clone()
    abdomen[0][lungs] = 40.0
    with pytest.raises(RegistrationError, match="No lung was found in abdomen.nii.gz: give a lung mask"):
        lung_mask(Image(abdomen, image.affine), "abdomen.nii.gz")
    with pytest.raises(RegistrationError, match="mr.nii.gz has no air .*Hounsfield"):
        lung_mask(Image((image.data + 1100).clamp(min=0), image.affine), "mr.nii.gz")
    broken = image.data.clone()
    broken[0, 5, 5, 5] = float("nan")
    with pytest.raises(RegistrationError, match="NaN or infinite voxels"):
        lung_mask(Image(broken, image.affine), "ct.nii.gz")
    with pytest.raises(RegistrationError, match="2 channels"):
        lung_mask(Image(image.data.expand(2, -1, -1, -1), image.affine), "ct.nii.gz")


def test_closing_fills_a_narrow_gap_and_leaves_a_wide_one():
    mask = torch.ones(15, 30, 30, dtype=torch.bool)
    mask[:, :, 8:11] = False
    mask[:, :, 18:28] = False
    result = closed(mask, 3)

    assert result[4:-4, 15, 8:11].all()
    assert not result[:, 15, 21:25].any()


def test_a_voxel_grows_to_a_ball():
    mask = torch.zeros(11, 11, 11, dtype=torch.bool)
    mask[5, 5, 5] = True
    grid = torch.stack(torch.meshgrid(*[torch.arange(11) - 5] * 3, indexing="ij"), -1).float()
    assert torch.equal(dilated(mask, 3), grid.norm(dim=-1) <= 3)
    assert not dilated(torch.zeros_like(mask), 3).any()
