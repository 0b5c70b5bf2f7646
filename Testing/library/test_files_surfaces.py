"""Surfaces of other programs: headers in any encoding, every variant of a format, and the frame that a file states."""

import struct

import numpy as np
import pytest
import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import open_file, read_polydata, write_polydata
from DiffRegLib.points.polydata import triangles, vertices

CORNERS = np.array([[0.0, 0, 0], [40, 0, 0], [0, 30, 0], [0, 0, 20]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
FLIP = np.array([-1.0, -1.0, 1.0])


def binary_stl(path, header: bytes):
    body = struct.pack("<I", len(FACES))
    body += b"".join(struct.pack("<12fH", 0, 0, 0, *CORNERS[face].ravel(), 0) for face in FACES)
    path.write_bytes(header[:80].ljust(80, b" ") + body)
    return path


@pytest.mark.parametrize(
    ("header", "flip"),
    [
        (b"made by hand", True),
        (b"COLOR=\xb4\x9e\xff\xff,MATERIAL=\xff\x90\x80\xff", True),
        ("Schädel links".encode("latin-1"), True),
        (b"\x00" * 80, True),
        (b"3D Slicer. SPACE=RAS \xff", False),
        (b"solid but binary", True),
    ],
)
def test_the_header_of_an_stl_is_bytes(tmp_path, header, flip):
    mesh = read_polydata(binary_stl(tmp_path / "a.stl", header))
    assert len(triangles(mesh)) == 4
    np.testing.assert_allclose(vertices(mesh).max(0), (CORNERS * (FLIP if flip else 1)).max(0), atol=1e-5)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_formats_in_any_encoding_and_with_any_line_end(tmp_path, encoding, end):
    facets = [f"facet normal 0 0 0\nouter loop\n{_rows(face)}\nendloop\nendfacet" for face in FACES]
    stl = "\n".join(["solid Schädel SPACE=RAS", *facets, "endsolid", ""])
    points, polygons = _lines(CORNERS), "\n".join(f"3 {a} {b} {c}" for a, b, c in FACES)
    vtk_text = f"# vtk DataFile Version 3.0\nSchädel SPACE=RAS\nASCII\nDATASET POLYDATA\nPOINTS 4 float\n{points}\n"
    vtk_text += f"POLYGONS 4 16\n{polygons}\n"
    ply = "ply\nformat ascii 1.0\ncomment Schädel SPACE=RAS\nelement vertex 4\nproperty float x\nproperty float y\n"
    ply += "property float z\nelement face 4\nproperty list uchar int vertex_index\nend_header\n"
    ply += f"{points}\n{polygons}\n"
    for name, text in (("a.stl", stl), ("a.vtk", vtk_text), ("a.ply", ply)):
        (tmp_path / name).write_bytes(text.replace("\n", end).encode(encoding))
        mesh = read_polydata(tmp_path / name)
        assert len(triangles(mesh)) == 4, name
        np.testing.assert_allclose(vertices(mesh).max(0), CORNERS.max(0), err_msg=name)


def _rows(face) -> str:
    return "\n".join("vertex " + " ".join(map(str, CORNERS[n])) for n in face)


def _lines(points) -> str:
    return "\n".join(" ".join(map(str, point)) for point in points)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["float", "double"])
def test_binary_ply_of_both_byte_orders_and_with_colors(tmp_path, order, kind):
    letter = "f" if kind == "float" else "d"
    head = f"ply\nformat binary_{'little' if order == '<' else 'big'}_endian 1.0\nelement vertex 4\n"
    head += "".join(f"property {kind} {axis}\n" for axis in "xyz") + "property uchar red\n"
    head += "element face 4\nproperty list uchar int vertex_indices\nend_header\n"
    body = b"".join(struct.pack(f"{order}3{letter}B", *point, 200) for point in CORNERS)
    body += b"".join(struct.pack(f"{order}B3i", 3, *face) for face in FACES)
    (tmp_path / "a.ply").write_bytes(head.encode() + body)
    mesh = read_polydata(tmp_path / "a.ply")
    assert len(triangles(mesh)) == 4
    np.testing.assert_allclose(vertices(mesh), CORNERS * FLIP)


@pytest.mark.parametrize("version", [42, 51])
@pytest.mark.parametrize("binary", [True, False])
def test_every_legacy_vtk_is_read(tmp_path, version, binary):
    source = vtk.vtkSphereSource()
    writer = vtk.vtkPolyDataWriter()
    writer.SetInputConnection(source.GetOutputPort())
    writer.SetFileVersion(version)
    writer.SetFileTypeToBinary() if binary else writer.SetFileTypeToASCII()
    writer.SetFileName(str(tmp_path / "a.vtk"))
    writer.Write()
    assert len(triangles(read_polydata(tmp_path / "a.vtk"))) == source.GetOutput().GetNumberOfPolys()


def test_a_volumetric_mesh_is_refused_with_the_reason(tmp_path):
    writer = vtk.vtkUnstructuredGridWriter()
    writer.SetInputData(vtk.vtkUnstructuredGrid())
    writer.SetFileName(str(tmp_path / "a.vtk"))
    writer.Write()
    with pytest.raises(RegistrationError, match="no polygonal surface"):
        read_polydata(tmp_path / "a.vtk")


@pytest.mark.parametrize("suffix", [".vtk", ".vtp", ".ply", ".stl"])
def test_what_we_write_states_its_frame(tmp_path, suffix):
    mesh = read_polydata(binary_stl(tmp_path / "in.stl", b"SPACE=RAS"))
    write_polydata(mesh, tmp_path / f"a{suffix}")
    assert open_file(tmp_path / f"a{suffix}").kind == "surface"
    np.testing.assert_allclose(vertices(read_polydata(tmp_path / f"a{suffix}")).max(0), CORNERS.max(0), atol=1e-5)
