"""Thick slices: the surfaces of a lung and of its large vessel, on a ball and a rod of known size."""

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.points.extract import options_of_pair
from DiffRegLib.points.options import CloudOptions
from DiffRegLib.points.thick import cloud_from_lungs, is_thick

LUNG, ROD = 60.0, 8.0  # mm, radii


def scan(slices: float = 5.0) -> tuple[Image, Image]:
    """A ball of parenchyma around the origin with a rod along z in it, in HU, and the mask of the ball."""
    affine = torch.diag(torch.tensor([2.0, 2.0, slices, 1.0], dtype=torch.float64))
    size = (round(200 / slices), 100, 100)
    affine[:3, 3] = -torch.tensor([99.0, 99.0, (size[0] - 1) / 2 * slices])
    geometry = Geometry(size, affine)
    points = geometry.grid()
    ball = points.norm(dim=-1) < LUNG
    rod = (points[..., :2].norm(dim=-1) < ROD) & (points[..., 2].abs() < 40)
    hounsfield = torch.where(ball & ~rod, -850.0, 40.0)
    return Image(hounsfield[None], affine), Image(ball[None].float(), affine)


def test_points_lie_on_the_lung_and_on_its_large_vessel():
    ct, mask = scan()
    cloud = cloud_from_lungs(ct, mask, 4000)
    assert cloud.labels == (1, 2)
    lung, vessel = (cloud.points[cloud.values == label] for label in cloud.labels)
    assert (lung.norm(dim=1) - LUNG).abs().mean() < 2.5
    side = vessel[vessel[:, 2].abs() < 30]
    assert (side[:, :2].norm(dim=1) - ROD).abs().mean() < 1.5


def test_two_scans_of_which_one_is_thick_are_both_taken_by_lungs():
    thick, thin = scan(5.0)[0], scan(2.0)[0]
    assert is_thick(thick) and not is_thick(thin)
    auto = CloudOptions()
    assert options_of_pair(thin, thick, auto).feature == options_of_pair(thick, thin, auto).feature == "lungs"
    assert options_of_pair(thin, thin, auto) == auto
    assert options_of_pair(thick, thick, CloudOptions(feature="vessels")).feature == "vessels"


def test_a_mask_beside_the_scan_is_refused():
    ct, mask = scan()
    beside = Image(mask.data, mask.affine.clone())
    beside.affine[:3, 3] += 900
    with pytest.raises(RegistrationError, match="mask of the CT is empty"):
        cloud_from_lungs(ct, beside)
