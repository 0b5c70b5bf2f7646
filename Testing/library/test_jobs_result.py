"""The files of a result, from a registration whose transform is known."""

import io
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.files import (
    Opened,
    carry,
    frame,
    open_file,
    read_image,
    read_points,
    read_polydata,
    write_cloud,
    write_image,
    write_polydata,
)
from DiffRegLib.image import Geometry, Image
from DiffRegLib.jobs.output import OutputOptions
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.jobs.result import write_result
from DiffRegLib.methods.registration import Provenance, Registration, TraceRow
from DiffRegLib.points import PointCloud
from DiffRegLib.points.listed import PointList
from DiffRegLib.points.polydata import vertices
from DiffRegLib.transforms import Affine, rigid

MOTION = rigid(torch.tensor([0.0, 0.0, 90.0]), torch.tensor([10.0, -20.0, 5.0]))
"""fixed -> moving: a quarter turn about z and a shift."""


def known(clouds=None):
    provenance = Provenance("splatting", "0", {}, 0, "cpu", 1.5, 99.0, ())
    trace = tuple(TraceRow(0, i, 1.0 / (i + 1), 0.0, 0.1) for i in range(3))
    return Registration(MOTION, MOTION.inverse(), trace, provenance, clouds=clouds)


def write(folder, things, clouds=None, landmarks=None, output=OutputOptions()):  # noqa: B008  frozen
    folder.mkdir()
    clouds = clouds or tuple(PointCloud.plain(t.points() + 0.1 * torch.rand(len(t.points()), 3)) for t in things)
    inputs = dict(zip(("fixed", "moving"), things))
    if landmarks:
        points = (Opened("landmarks.csv", "points", PointList(side)) for side in landmarks)
        inputs |= dict(zip(("fixed_landmarks", "moving_landmarks"), points))
    report = Reporter(folder.parent / "progress.jsonl", io.StringIO())
    write_result(folder, known(clouds), inputs, report, output)
    report.close()
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def ellipsoid(geometry, transform=None, value=4.0):
    """Labels of an ellipsoid in the fixed frame, or of its image in the moving frame (transform: moving -> fixed)."""
    points = geometry.grid().double()
    points = transform(points) if transform else points
    inside = ((points - torch.tensor([3.0, -2.0, 1.0])) / torch.tensor([12.0, 18.0, 25.0])).norm(dim=-1) < 1
    return Image(value * inside[None].float(), geometry.affine)


@pytest.fixture
def maps(tmp_path):
    """The same body as label maps in both frames, on grids that differ in place, size and spacing."""
    fixed = Geometry.around(torch.tensor([[-25.0, -30.0, -35.0], [30.0, 25.0, 38.0]]), 1.5)
    moving = Geometry.around(MOTION(fixed.corners()), 2.0)
    write_image(ellipsoid(fixed), tmp_path / "fixed.nrrd", "uint8")
    write_image(ellipsoid(moving, MOTION.inverse()), tmp_path / "moving.nii.gz", "uint8")
    return open_file(str(tmp_path / "fixed.nrrd")), open_file(str(tmp_path / "moving.nii.gz"))


def test_label_maps_are_carried_to_the_grid_of_the_other(maps, tmp_path):
    metrics = write(tmp_path / "result", maps)
    assert metrics["dice"]["labels"].keys() == {"4"}
    assert metrics["dice"]["before"] < 0.7 and metrics["dice"]["after"] > 0.94  # nearest voxels of 2 mm
    warped_moving = read_image(tmp_path / "result" / "warped_moving.nii.gz")
    warped_fixed = read_image(tmp_path / "result" / "warped_fixed.nrrd")
    for warped, like in ((warped_moving, maps[0].content), (warped_fixed, maps[1].content)):
        assert warped.shape == like.shape and torch.allclose(warped.affine, like.affine, atol=1e-5)
        assert set(warped.data.unique().tolist()) == {0.0, 4.0}
        assert float((warped.data == like.data).double().mean()) > 0.985
    header = (tmp_path / "result" / "warped_fixed.nrrd").read_bytes().split(b"\n\n")[0]
    assert b"encoding: raw" in header and b"unsigned char" in header


def test_files_are_read_by_simpleitk_as_the_same_motion(maps, tmp_path):
    write(tmp_path / "result", maps)
    forward = sitk.ReadTransform(str(tmp_path / "result" / "transform.h5"))
    backward = sitk.ReadTransform(str(tmp_path / "result" / "inverse.h5"))
    flip = np.array([-1, -1, 1])  # ITK counts in LPS
    point = torch.tensor([7.0, 11.0, -5.0], dtype=torch.float64)
    moved = np.array(forward.TransformPoint(tuple(point.numpy() * flip))) * flip
    np.testing.assert_allclose(moved, MOTION(point).numpy(), atol=1e-6)
    np.testing.assert_allclose(backward.TransformPoint(tuple(moved * flip)), point.numpy() * flip, atol=1e-6)


def test_intensities_keep_their_type_and_their_background(tmp_path):
    geometry = Geometry.around(torch.tensor([[-20.0, -20.0, -20.0], [20.0, 20.0, 20.0]]), 2.0)
    hounsfield = torch.where(ellipsoid(geometry).data > 0, 40.0, -1000.0)
    write_image(Image(hounsfield, geometry.affine), tmp_path / "ct.nii.gz", "int16")
    thing = open_file(str(tmp_path / "ct.nii.gz"))
    assert thing.kind == "image" and thing.dtype == "int16"
    far = Affine.translation(torch.tensor([500.0, 0.0, 0.0]))
    assert set(carry(thing, far, None, geometry).content.data.unique().tolist()) == {-1000.0}


def test_clouds_and_landmarks(tmp_path):
    generator = torch.Generator().manual_seed(0)
    points = 30 * torch.randn(80, 3, generator=generator)
    labels = torch.arange(80) % 3 + 5
    write_cloud(PointCloud.labeled(points, labels), tmp_path / "fixed.csv")
    write_cloud(PointCloud.labeled(MOTION(points), labels), tmp_path / "moving.csv")
    things = tuple(open_file(str(tmp_path / f"{side}.csv")) for side in ("fixed", "moving"))
    landmarks = (points[:7].double(), MOTION(points[:7].double()))
    metrics = write(tmp_path / "result", things, tuple(t.content.cloud() for t in things), landmarks)
    assert metrics["landmarks"]["count"] == 7
    assert metrics["landmarks"]["after_mm"]["max"] < 1e-4 < metrics["landmarks"]["before_mm"]["mean"]
    assert metrics["trace"][2]["iteration"] == 2 and metrics["seconds"] == 1.5
    warped = read_points(tmp_path / "result" / "warped_moving.csv").cloud()
    torch.testing.assert_close(warped.points, points, atol=1e-3, rtol=0)
    assert warped.values.tolist() == labels.tolist()
    there = read_points(tmp_path / "result" / "warped_fixed.csv").cloud()
    torch.testing.assert_close(there.points, MOTION(points), atol=1e-3, rtol=0)
    assert (tmp_path / "result" / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_surface_with_image_on_the_other_side(maps, tmp_path):
    import vtk

    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(15)
    sphere.SetThetaResolution(20)
    sphere.Update()
    write_polydata(sphere.GetOutput(), tmp_path / "organ.stl")
    organ = open_file(str(tmp_path / "organ.stl"))
    write(tmp_path / "result", (maps[0], organ))
    expected = MOTION.inverse()(torch.from_numpy(vertices(organ.content)))
    moved = vertices(read_polydata(tmp_path / "result" / "warped_moving.vtp"))
    np.testing.assert_allclose(moved, expected.numpy(), atol=1e-3)
    grid = read_image(tmp_path / "result" / "warped_fixed.nrrd")  # around the organ, with the voxel size of the map
    assert bool(grid.contains(organ.points()).all())
    torch.testing.assert_close(grid.spacing, torch.full((3,), 1.5, dtype=torch.float64))


def test_frame_of_huge_clouds_stays_small(tmp_path):
    write_cloud(PointCloud.plain(1000 * torch.randn(50, 3)), tmp_path / "cloud.csv")
    cloud = open_file(str(tmp_path / "cloud.csv"))
    assert float(frame(cloud, cloud).size.prod()) < 2**24 * 1.05


def test_a_panel_takes_less(tmp_path):
    write_cloud(PointCloud.plain(torch.randn(50, 3) * 30), tmp_path / "cloud.csv")
    cloud = open_file(str(tmp_path / "cloud.csv"))
    write(tmp_path / "result", (cloud, cloud), output=OutputOptions(warped_fixed=False, overview=False))
    left = {path.name for path in (tmp_path / "result").iterdir()}
    assert left == {"transform.h5", "inverse.h5", "warped_moving.csv", "metrics.json"}
