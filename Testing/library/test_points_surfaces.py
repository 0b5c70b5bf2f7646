"""Surfaces: even sampling by area, frames of files as Slicer's own storage node reads and writes them."""

import math

import numpy as np
import pytest
import torch
import vtk
from scipy.spatial import cKDTree

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_polydata, write_polydata
from DiffRegLib.points.polydata import from_points, triangles, vertices, with_vertices
from DiffRegLib.points.surfaces import area_elements, cloud_from_surface

CENTER = (10.0, -20.0, 30.0)
SUFFIXES = (".vtk", ".vtp", ".ply", ".stl")


def uneven_sphere(radius: float = 50.0) -> vtk.vtkPolyData:
    """Triangles are far smaller at the poles than at the equator."""
    source = vtk.vtkSphereSource()
    source.SetCenter(*CENTER)
    source.SetRadius(radius)
    source.SetThetaResolution(60)
    source.SetPhiResolution(40)
    source.Update()
    return source.GetOutput()


def test_points_cover_a_sphere_evenly_whatever_its_triangles():
    cloud = cloud_from_surface(uneven_sphere(), points=1000, seed=1)
    offset = cloud.points - torch.tensor(CENTER)

    assert len(cloud) == 1000
    assert (offset.norm(dim=1) - 50).abs().max() < 50 * (1 - math.cos(math.pi / 40)) * 2  # the chord of a facet
    # zones of equal height have equal areas (Archimedes)
    zones = torch.histc(offset[:, 2], bins=5, min=-50, max=50)
    assert (zones - 200).abs().max() < 20
    nearest = cKDTree(cloud.points.numpy()).query(cloud.points.numpy(), k=2)[0][:, 1]
    ideal = math.sqrt(4 * math.pi * 50**2 / 1000 * 2 / math.sqrt(3))  # spacing of a hexagonal pattern
    assert nearest.min() > 0.5 * ideal
    assert float(cloud.weights.mean()) == pytest.approx(1.0, abs=1e-5)


def test_area_elements_sum_to_the_area():
    box = vtk.vtkCubeSource()
    box.SetXLength(10)
    box.SetYLength(20)
    box.SetZLength(30)
    box.Update()
    points, area = area_elements(box.GetOutput(), 5000)

    assert float(area.sum()) == pytest.approx(2 * (200 + 300 + 600), rel=1e-5)
    on_top = (points[:, 2] - 15).abs() < 1e-4
    assert float(area[on_top].sum()) == pytest.approx(200, rel=0.05)


def test_the_same_seed_gives_the_same_points():
    first, again, other = (cloud_from_surface(uneven_sphere(), 200, seed).points for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_surfaces_survive_the_file(tmp_path, suffix):
    sphere = uneven_sphere()
    write_polydata(sphere, tmp_path / f"s{suffix}")
    back = read_polydata(tmp_path / f"s{suffix}")

    assert len(triangles(back)) == len(triangles(sphere))
    distance, _ = cKDTree(vertices(sphere)).query(vertices(back))
    assert distance.max() < 1e-3


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("stated", ["RAS", "LPS", ""])
def test_the_frame_of_a_file_is_the_one_it_states_or_lps(tmp_path, suffix, stated):
    path = tmp_path / f"s{suffix}"
    write_raw(uneven_sphere(), path, stated)
    found = vertices(read_polydata(path)).mean(axis=0)

    sign = 1 if stated == "RAS" else -1
    np.testing.assert_allclose(found, [sign * CENTER[0], sign * CENTER[1], CENTER[2]], atol=0.5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_slicer_reads_our_surfaces_where_they_are_and_we_read_its_files(tmp_path, suffix):
    slicer = pytest.importorskip("slicer")
    ours, theirs = tmp_path / f"ours{suffix}", tmp_path / f"theirs{suffix}"
    write_polydata(uneven_sphere(), ours)

    node, storage = slicer.vtkMRMLModelNode(), slicer.vtkMRMLModelStorageNode()
    scene = slicer.vtkMRMLScene()
    scene.AddNode(node)
    scene.AddNode(storage)
    storage.SetFileName(str(ours))
    assert storage.ReadData(node)
    np.testing.assert_allclose(node.GetPolyData().GetCenter(), CENTER, atol=1e-3)

    storage.SetFileName(str(theirs))
    assert storage.WriteData(node)
    np.testing.assert_allclose(read_polydata(theirs).GetCenter(), CENTER, atol=1e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_and_empty_files_are_refused_in_one_sentence(tmp_path, suffix, capfd):
    whole, cut, empty = (tmp_path / f"{name}{suffix}" for name in ("whole", "cut", "empty"))
    write_polydata(uneven_sphere(), whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    empty.write_bytes(b"")

    for path in (cut, empty):
        with pytest.raises(RegistrationError, match=path.name):
            read_polydata(path)
    assert "ERR" not in capfd.readouterr().err


def test_bad_surfaces_are_refused(tmp_path):
    sphere = uneven_sphere()
    broken = vertices(sphere)
    broken[7] = np.nan
    with pytest.raises(RegistrationError, match="NaN or infinite"):
        cloud_from_surface(with_vertices(sphere, broken), 100)
    with pytest.raises(RegistrationError, match="no surface"):
        cloud_from_surface(from_points(vertices(sphere), {}), 100)
    with pytest.raises(RegistrationError, match="does not exist"):
        read_polydata(tmp_path / "missing.vtp")
    write_polydata(with_vertices(sphere, vertices(sphere) / 1000), tmp_path / "meters.stl")
    with pytest.raises(RegistrationError, match="meters.stl .* in meters"):
        cloud_from_surface(read_polydata(tmp_path / "meters.stl"), name="meters.stl")
    with pytest.raises(RegistrationError, match="cannot be written"):
        write_polydata(sphere, tmp_path / "no" / "folder.vtp")


def write_raw(polydata, path, stated: str) -> None:
    """Writes with VTK alone, the frame stated in the way of the format."""
    writers = {
        ".vtk": vtk.vtkPolyDataWriter,
        ".vtp": vtk.vtkXMLPolyDataWriter,
        ".ply": vtk.vtkPLYWriter,
        ".stl": vtk.vtkSTLWriter,
    }
    writer = writers[path.suffix]()
    if stated and path.suffix == ".vtp":
        space = vtk.vtkStringArray()
        space.SetName("SPACE")
        space.InsertNextValue(stated)
        polydata.GetFieldData().AddArray(space)
    elif stated and path.suffix == ".ply":
        writer.AddComment("made by hand")
        writer.AddComment(f"SPACE={stated}")
    elif stated:
        writer.SetHeader(f"3D Slicer output. SPACE={stated}")
    writer.SetInputData(polydata)
    writer.SetFileName(str(path))
    assert writer.Write()
