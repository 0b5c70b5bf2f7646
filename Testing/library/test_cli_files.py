"""`warp`, `info`, `evaluate` and `phantom` on files whose answer is known."""

import contextlib
import io
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.cli import main
from DiffRegLib.files import read_image, read_points, write_cloud, write_image
from DiffRegLib.image import Geometry, Image
from DiffRegLib.jobs import make_job
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Affine, DisplacementField, rigid, write_transform

SHIFT = torch.tensor([6.0, -4.0, 2.0], dtype=torch.float64)


def diffreg(*arguments, code=0):
    """Runs the command in this process and returns what it printed."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        returned = main([str(a) for a in arguments])
    assert returned == code, output.getvalue()
    return output.getvalue()


def ball(center, like, value=1.0, radius=15.0):
    """A ball of `value` around a point (RAS mm)."""
    inside = (like.grid().double() - torch.as_tensor(center, dtype=torch.float64)).norm(dim=-1) < radius
    return Image(value * inside[None].float(), like.affine)


@pytest.fixture
def grid():
    return Geometry.around(torch.tensor([[-30.0, -30.0, -30.0], [30.0, 30.0, 30.0]]), 2.0)


def center_of(image):
    weight = image.data[0].double()
    return (image.grid().double() * weight[..., None]).sum((0, 1, 2)) / weight.sum()


@pytest.fixture
def shift(tmp_path):
    """fixed -> moving is a shift by SHIFT: what lies at x in fixed lies at x + SHIFT in moving."""
    write_transform(Affine.translation(SHIFT), tmp_path / "shift.h5")
    return tmp_path / "shift.h5"


@pytest.mark.parametrize("flags, sign", [([], -1), (["--inverse"], 1)])
def test_warp_carries_images_and_points_to_the_same_place(tmp_path, grid, shift, flags, sign):
    start = torch.tensor([2.0, 3.0, -4.0], dtype=torch.float64)
    write_image(ball(start, grid, 7), tmp_path / "labels.nii.gz", "uint8")
    points = start + torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    write_cloud(PointCloud.plain(points), tmp_path / "cloud.csv")

    diffreg("warp", tmp_path / "labels.nii.gz", shift, "-o", tmp_path / "w.nii.gz", *flags)
    diffreg("warp", tmp_path / "cloud.csv", shift, "-o", tmp_path / "w.csv", *flags)
    moved = read_image(tmp_path / "w.nii.gz")
    assert set(moved.data.unique().tolist()) == {0.0, 7.0}
    torch.testing.assert_close(center_of(moved), start + sign * SHIFT, atol=0.05, rtol=0)
    torch.testing.assert_close(read_points(tmp_path / "w.csv").points, points + sign * SHIFT, atol=1e-3, rtol=0)


def test_warp_equals_simpleitk(tmp_path, grid):
    """An oblique rotation, a smooth field on top, sampled in another grid: what SimpleITK makes of the same file."""
    field = 3 * torch.sin(grid.grid().movedim(-1, 0) / 12)
    transform = rigid(torch.tensor([5.0, -8.0, 11.0]), SHIFT) @ DisplacementField(Image(field, grid.affine))
    write_transform(transform, tmp_path / "t.h5")
    values = torch.randn(1, *grid.shape, generator=torch.Generator().manual_seed(3))
    write_image(Image(values, grid.affine), tmp_path / "moving.nrrd")
    like = Geometry((20, 24, 22), rigid(torch.tensor([0.0, 20.0, 0.0]), torch.tensor([-20.0, -22.0, -19.0])).matrix)
    write_image(Image(torch.zeros(1, *like.shape), like.affine), tmp_path / "like.mha")

    diffreg(
        "warp", tmp_path / "moving.nrrd", tmp_path / "t.h5", "-o", tmp_path / "w.nrrd", "--like", tmp_path / "like.mha"
    )
    read = [sitk.ReadImage(str(tmp_path / n)) for n in ("moving.nrrd", "like.mha", "w.nrrd")]
    lowest = float(values.min())
    expected = sitk.Resample(read[0], read[1], sitk.ReadTransform(str(tmp_path / "t.h5")), sitk.sitkLinear, lowest)
    ours, theirs = sitk.GetArrayFromImage(read[2]), sitk.GetArrayFromImage(expected)
    assert np.abs(ours - theirs).max() < 1e-3
    assert ours.std() > 0.3


def test_warp_inverts_numerically_where_it_must(tmp_path, grid):
    field = 3 * torch.sin(grid.grid().movedim(-1, 0) / 12)
    transform = DisplacementField(Image(field, grid.affine))
    write_transform(transform, tmp_path / "t.nii.gz")
    points = 15 * torch.randn(60, 3, generator=torch.Generator().manual_seed(1)).clamp(-1.5, 1.5)
    write_cloud(PointCloud.plain(transform(points)), tmp_path / "moving.csv")
    diffreg("warp", tmp_path / "moving.csv", tmp_path / "t.nii.gz", "-o", tmp_path / "w.csv")
    assert (read_points(tmp_path / "w.csv").points - points).norm(dim=-1).max() < 0.01


def test_warp_refuses_to_replace_and_to_change_the_kind(tmp_path, shift):
    write_cloud(PointCloud.plain(torch.randn(20, 3)), tmp_path / "a.csv")
    before = (tmp_path / "a.csv").read_bytes()
    assert "--overwrite" in diffreg("warp", tmp_path / "a.csv", shift, "-o", tmp_path / "a.csv", code=2)
    assert (tmp_path / "a.csv").read_bytes() == before
    assert "extension" in diffreg("warp", tmp_path / "a.csv", shift, "-o", tmp_path / "b.nrrd", code=2)
    diffreg("warp", tmp_path / "a.csv", shift, "-o", tmp_path / "a.csv", "--overwrite")
    assert (tmp_path / "a.csv").read_bytes() != before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "shift.h5"]


def test_info_of_a_label_map(tmp_path, grid):
    write_image(ball([0, 0, 0], grid, 5, radius=20), tmp_path / "seg.nii.gz", "uint8")
    text = diffreg("info", tmp_path / "seg.nii.gz")
    assert "label map" in text and "label 5" in text and "2 x 2 x 2 mm" in text and "R A S" in text
    volume = float(next(line for line in text.splitlines() if "label 5" in line).split()[2])
    assert volume == pytest.approx(4 / 3 * np.pi * 2**3, rel=0.02)  # ml of a ball of 20 mm


def test_info_tells_noise_of_few_values_from_labels(tmp_path, grid):
    """A magnetic resonance image in 8 bits holds 256 whole numbers and is no label map."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (1, *grid.shape), generator=generator).float()
    write_image(Image(noise, grid.affine), tmp_path / "mr.nii.gz", "uint8")
    text = diffreg("info", tmp_path / "mr.nii.gz")
    assert "label map" not in text and "0 to 255" in text


def test_info_of_clouds_transforms_and_surfaces(tmp_path, grid, shift):
    meters = PointCloud.plain(torch.rand(30, 3, generator=torch.Generator().manual_seed(0)) * 0.2)
    write_cloud(meters, tmp_path / "meters.csv")
    np.savez(tmp_path / "many.npz", insp=np.zeros((7, 3)), lm=np.zeros((4, 3)))
    write_transform(DisplacementField(Image(torch.full((3, *grid.shape), 3.0), grid.affine)), tmp_path / "f.h5")
    text = diffreg("info", tmp_path / "meters.csv", tmp_path / "many.npz", shift, tmp_path / "f.h5")
    assert "30" in text and "meters" in text
    assert "insp" in text and "(7, 3)" in text
    for number in ("6.0000", "-4.0000", "2.0000"):
        assert number in text
    assert "DisplacementField" in text and "5.196 mm" in text


def test_info_of_a_result_shows_what_it_reached(tmp_path):
    make_job(tmp_path / "out", "splatting", {}, {})
    metrics = {
        "folded_percent": 0.25,
        "dice": {"before": 0.5, "after": 0.875, "labels": {"1": {"before": 0.5, "after": 0.875}}},
    }
    (tmp_path / "out" / "metrics.json").write_text(json.dumps(metrics))
    text = diffreg("info", tmp_path / "out")
    assert "splatting registration of" in text and "0.875" in text and "0.250" in text


def test_evaluate_knows_the_error_of_a_shift(tmp_path, grid, shift):
    fixed = 20 * torch.rand(40, 3, generator=torch.Generator().manual_seed(0)).double()
    write_cloud(PointCloud.plain(fixed), tmp_path / "fixed.csv")
    write_cloud(PointCloud.plain(fixed + SHIFT + torch.tensor([0.0, 0.5, 0.0])), tmp_path / "moving.csv")
    write_image(ball([0, 0, 0], grid, 3), tmp_path / "fixed.nii.gz", "uint8")
    write_image(ball(SHIFT, grid, 3), tmp_path / "moving.nii.gz", "uint8")
    flags = ["--fixed-landmarks", tmp_path / "fixed.csv", "--moving-landmarks", tmp_path / "moving.csv"]
    flags += ["--fixed-labels", tmp_path / "fixed.nii.gz", "--moving-labels", tmp_path / "moving.nii.gz"]
    metrics = json.loads(diffreg("evaluate", shift, *flags, "--json"))
    assert metrics["landmarks"]["count"] == 40
    assert metrics["landmarks"]["before_mm"]["mean"] == pytest.approx(np.sqrt(36 + 3.5**2 + 4), abs=2e-3)
    assert metrics["landmarks"]["after_mm"]["max"] == pytest.approx(0.5, abs=2e-3)
    assert metrics["dice"]["after"] == pytest.approx(1.0, abs=1e-3)
    assert metrics["dice"]["before"] < 0.8
    assert metrics["folded_percent"] == 0
    assert metrics["jacobian_determinant"]["min"] == pytest.approx(1, abs=1e-4)
    table = diffreg("evaluate", shift, *flags)
    assert "0.50" in table and "Dice" in table and "folded" in table


def test_evaluate_finds_folds(tmp_path, grid):
    """u = -2 x for x > 0 turns half of space inside out: determinant -1 there."""
    x = grid.grid()[..., 0]
    field = torch.zeros(3, *grid.shape)
    field[0] = -2 * x.clamp(min=0)
    write_transform(DisplacementField(Image(field, grid.affine)), tmp_path / "fold.nii.gz")
    metrics = json.loads(diffreg("evaluate", tmp_path / "fold.nii.gz", "--json"))
    assert metrics["folded_percent"] == pytest.approx(50, abs=4)
    assert metrics["jacobian_determinant"]["min"] == pytest.approx(-1, abs=1e-3)


def test_evaluate_needs_both_sides(tmp_path, shift):
    write_cloud(PointCloud.plain(torch.randn(20, 3)), tmp_path / "a.csv")
    text = diffreg("evaluate", shift, "--fixed-landmarks", tmp_path / "a.csv", code=2)
    assert "give both or none" in text
    assert "--like" in diffreg("evaluate", shift, code=2)


def test_phantom_writes_a_patient_whose_transform_is_right(tmp_path):
    folder = tmp_path / "patient"
    diffreg("phantom", folder, "--spacing", "8")
    names = {p.name for p in folder.iterdir()}
    expected = {
        f"{s}_{n}" for s in ("fixed", "moving") for n in ("ct.nii.gz", "labels.nii.gz", "landmarks.csv", "liver.vtp")
    }
    assert expected | {"transform.h5", "inverse.h5"} <= names
    flags = [f"--{side}-landmarks={folder / f'{side}_landmarks.csv'}" for side in ("fixed", "moving")]
    metrics = json.loads(diffreg("evaluate", folder / "transform.h5", *flags, "--json"))
    assert metrics["landmarks"]["before_mm"]["mean"] > 8
    assert metrics["landmarks"]["after_mm"]["mean"] < 0.5  # the exact motion, sampled every 8 mm
    assert "CT in HU" in diffreg("info", folder / "fixed_ct.nii.gz")
