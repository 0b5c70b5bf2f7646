"""What a file is, and the cloud that comes of it."""

import numpy as np
import pytest
import torch
import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import open_file, write_cloud, write_image, write_polydata
from DiffRegLib.files.segments import looks_like_labels
from DiffRegLib.image import Image
from DiffRegLib.points import CloudOptions, PointCloud
from DiffRegLib.points.extract import cloud_of

POINTS = np.random.default_rng(0).normal(0, 40, (60, 3))


def grid() -> Image:
    affine = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = -40.0
    return Image(torch.zeros(1, 40, 40, 40), affine)


def two_balls() -> Image:
    x = grid().grid()
    data = torch.zeros(40, 40, 40)
    data[(x - torch.tensor([15.0, 0, 0])).norm(dim=-1) < 12] = 1
    data[(x + torch.tensor([15.0, 0, 0])).norm(dim=-1) < 9] = 4
    return Image(data[None], grid().affine)


def noisy(low: float, high: float) -> Image:
    data = torch.rand(1, 40, 40, 40, generator=torch.Generator().manual_seed(0)) * (high - low) + low
    return Image(data.round(), grid().affine)


@pytest.fixture
def files(tmp_path):
    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(30)
    sphere.Update()
    write_polydata(sphere.GetOutput(), tmp_path / "surface.stl")
    write_cloud(PointCloud.plain(POINTS), tmp_path / "points.csv")
    write_cloud(PointCloud.plain(POINTS), tmp_path / "points.vtp")
    write_image(two_balls(), tmp_path / "labels.nii.gz", "int16")
    write_image(noisy(0, 255), tmp_path / "mr.nii.gz", "int16")
    write_image(noisy(-1000, 300), tmp_path / "ct.nii.gz", "int16")
    np.savez(tmp_path / "points.npz", cloud=POINTS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("surface.stl", "surface"),
        ("points.csv", "points"),
        ("points.vtp", "points"),
        ("points.npz", "points"),
        ("points.npz:cloud", "points"),
        ("labels.nii.gz", "labels"),
        ("mr.nii.gz", "image"),
        ("ct.nii.gz", "image"),
    ],
)
def test_files_are_told_apart(files, name, kind):
    opened = open_file(f"{files}/{name}")
    assert opened.kind == kind
    assert opened.hounsfield == name.startswith("ct")


def test_an_empty_map_is_still_a_label_map_and_a_field_is_none():
    assert looks_like_labels(grid().data.numpy())
    assert not looks_like_labels(np.zeros((3, 4, 4, 4)))


@pytest.mark.parametrize(
    ("name", "options", "count", "labels"),
    [
        ("points.csv", CloudOptions(), 60, (1,)),
        ("points.npz:cloud", CloudOptions(points=20), 60, (1,)),
        ("surface.stl", CloudOptions(points=40), 40, (1,)),
        ("surface.stl", CloudOptions(feature="points"), 50, (1,)),
        ("labels.nii.gz", CloudOptions(points_per_label=30), 60, (1, 4)),
        ("labels.nii.gz", CloudOptions(points_per_label=30, labels=(4,)), 30, (4,)),
        ("labels.nii.gz", CloudOptions(feature="surface", points=25), 25, (1,)),
    ],
)
def test_each_kind_gives_its_cloud(files, name, options, count, labels):
    cloud = cloud_of(open_file(f"{files}/{name}").content, options)
    assert len(cloud) == count
    assert cloud.labels == labels


@pytest.mark.parametrize(
    ("name", "feature", "complaint"),
    [
        ("mr.nii.gz", "auto", "neither points, a surface, a label map nor a CT"),
        ("mr.nii.gz", "vessels", "has no air"),
        ("ct.nii.gz", "labels", "negative"),
        ("ct.nii.gz", "points", "holds no points"),
        ("labels.nii.gz", "vessels", "no vessels to find"),
        ("points.csv", "surface", "holds points without surface"),
        ("points.vtp", "vessels", "holds points"),
        ("gone.nii.gz", "auto", "does not exist"),
    ],
)
def test_a_feature_that_a_file_does_not_have_is_refused_with_its_name(files, name, feature, complaint):
    with pytest.raises(RegistrationError, match=complaint) as error:
        cloud_of(open_file(f"{files}/{name}").content, CloudOptions(feature=feature), name=name)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_the_options_load_without_torch():
    import subprocess
    import sys

    code = "import sys, DiffRegLib.points.options; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
