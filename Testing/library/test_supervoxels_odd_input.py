"""Scans as files hold them: padded, with axes of any order, in frames far apart; and scans that are refused."""

import dataclasses

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.pipeline import by_reference, register
from DiffRegLib.methods.supervoxels.preparation import prepare
from DiffRegLib.methods.supervoxels.reference import align
from Testing.library.bodies import body_ct
from Testing.library.test_supervoxels_matching import BOX, FAST, FEW


def registered(fixed: Image, moving: Image):
    return register(fixed, moving, FAST, sides=by_reference((fixed, moving), None, align, None, BOX, FEW))


def scans() -> tuple[Image, Image]:
    return body_ct(), body_ct((12.0, -8.0, 10.0))


def points() -> torch.Tensor:
    return 150 * (torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) - 0.5)


@pytest.mark.parametrize("number", [-2000.0, -3024.0, -32768.0])
def test_what_fills_a_scan_up_around_its_field_of_view_is_air(number):
    fixed, moving = scans()
    radius = (moving.grid() - moving.center.float())[..., :2].norm(dim=-1)
    padded = Image(moving.data.masked_fill(radius > 0.9 * float(radius.max()) / 2**0.5, number), moving.affine)
    assert float((padded.data == number).float().mean()) > 0.2
    plain = Image(padded.data.masked_fill(padded.data == number, -1000.0), moving.affine)
    for pair, same in (((fixed, padded), (fixed, plain)), ((padded, fixed), (plain, fixed))):
        assert registered(*pair).transform(points()).equal(registered(*same).transform(points()))


@pytest.mark.parametrize("directions", [[[-1, 0, 0], [0, -1, 0], [0, 0, 1]], [[0, 0, 1], [-1, 0, 0], [0, 1, 0]]])
def test_in_which_order_a_file_lists_its_voxels_does_not_matter(directions):
    fixed, moving = scans()
    expected = registered(fixed, moving).transform(points())
    found = registered(fixed, moving.along(torch.tensor(directions, dtype=torch.float64))).transform(points())
    assert (found - expected).norm(dim=1).max() < 0.2


def test_frames_that_lie_meters_apart_cost_no_more_than_one():
    """Of two patients each has the frame of their scanner: an inverse on one grid over both would fill the memory."""
    fixed, moving = scans()
    away = torch.tensor([3000.0, -900.0, 1500.0])
    there = Image(moving.data, moving.affine.clone())
    there.affine[:3, 3] += away.double()
    near, far = registered(fixed, moving), registered(fixed, there)
    assert (far.transform(points()) - away - near.transform(points())).norm(dim=1).max() < 0.3  # float32 at 3 m
    assert (far.inverse(far.transform(points())) - points()).norm(dim=1).max() < 0.5
    nodes = far.inverse.transforms[0].image.data.numel(), near.inverse.transforms[0].image.data.numel()
    assert nodes[0] == nodes[1]


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda scan: Image(scan.data + 1024, scan.affine), "look shifted: subtract 1024"),
        (
            lambda scan: Image((scan.data + 1024).masked_fill(scan.data < -900, -2000.0), scan.affine),
            "padding.*subtract",
        ),
        (lambda scan: Image(scan.data % 65536, scan.affine), "without a sign"),
        (lambda scan: scaled(scan, 1e-3), r"0\.288 x 0\.24 x 0\.336 mm large"),
        (lambda scan: scaled(scan, 10), "2880 x 2400 x 3360 mm large"),
        (lambda scan: Image(scan.data[:, 26:29, 18:21, 22:25], scan.affine), "mm large, which no scan of a body"),
    ],
)
def test_a_scan_that_cannot_be_registered_is_told_why(spoil, words):
    with pytest.raises(RegistrationError, match=f"(?s)^scan.nii.gz.*{words}") as error:
        prepare(spoil(body_ct()), BOX, "scan.nii.gz")
    assert error.value.path == "scan.nii.gz"


def scaled(scan: Image, factor: float) -> Image:
    affine = scan.affine.clone()
    affine[:3] *= factor
    return dataclasses.replace(scan, affine=affine)
