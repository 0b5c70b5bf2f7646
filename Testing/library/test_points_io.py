"""Files of points: units, frames, columns, keys, and the sentences for what cannot be read."""

import json

import numpy as np
import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_landmarks, read_points, write_cloud, write_landmarks
from DiffRegLib.points import PointCloud

POINTS = np.random.default_rng(0).normal(0, 40, (30, 3))
LPS = np.array([-1.0, -1.0, 1.0])


def points_of(path):
    return read_points(path).points


def labeled_cloud() -> PointCloud:
    return PointCloud.labeled(POINTS, [2, 7, 9] * 10, np.linspace(0.5, 2.0, 30))


@pytest.mark.parametrize("suffix", [".csv", ".vtp", ".vtk"])
def test_points_weights_and_labels_survive_the_file(tmp_path, suffix):
    cloud = labeled_cloud()
    write_cloud(cloud, tmp_path / f"c{suffix}")
    back = read_points(tmp_path / f"c{suffix}").cloud()

    torch.testing.assert_close(back.points, cloud.points, atol=2e-5, rtol=0)
    torch.testing.assert_close(back.weights, cloud.weights, atol=0, rtol=1e-5)
    assert back.labels == (2, 7, 9)
    assert torch.equal(back.channels, cloud.channels)


@pytest.mark.parametrize("suffix", [".ply", ".mrk.json"])
def test_points_survive_formats_without_labels(tmp_path, suffix):
    write_cloud(labeled_cloud(), tmp_path / f"c{suffix}")
    np.testing.assert_allclose(points_of(tmp_path / f"c{suffix}"), POINTS, atol=2e-5)


def test_csv_is_in_ras_mm_with_the_promised_columns(tmp_path):
    write_cloud(labeled_cloud(), tmp_path / "c.csv")
    lines = (tmp_path / "c.csv").read_text().splitlines()

    assert lines[0] == "x,y,z,value,label"
    np.testing.assert_allclose([float(v) for v in lines[1].split(",")[:3]], POINTS[0], atol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "z,name,y,x\n{z},a,{y},{x}\n",
        "\ufeffX;Y;Z\n{x};{y};{z}\n",
        "{x} {y} {z}\n",
        "# made by hand\nx,y,z\n{x},{y},{z}\n\n",
        "x\ty\tz\n{x}\t{y}\t{z}\n",
    ],
)
def test_tables_of_other_programs_are_understood(tmp_path, text):
    lines = text.splitlines(keepends=True)
    every_row = [
        "".join(line.format(x=x, y=y, z=z) for x, y, z in POINTS.tolist()) if "{x}" in line else line for line in lines
    ]
    (tmp_path / "t.csv").write_text("".join(every_row), encoding="utf-8")

    np.testing.assert_allclose(points_of(tmp_path / "t.csv"), POINTS, atol=1e-4)


def test_npz_takes_the_named_array_or_the_only_one(tmp_path):
    np.savez(tmp_path / "one.npz", cloud=POINTS, ids=np.arange(30))
    np.savez(tmp_path / "two.npz", insp=POINTS, exp=POINTS + 5)

    np.testing.assert_allclose(points_of(tmp_path / "one.npz"), POINTS, atol=1e-5)
    np.testing.assert_allclose(points_of(f"{tmp_path / 'two.npz'}:exp"), POINTS + 5, atol=1e-5)
    with pytest.raises(RegistrationError, match="two.npz holds several arrays: .*two.npz:insp, two.npz:exp"):
        read_points(tmp_path / "two.npz")
    with pytest.raises(RegistrationError, match="has no array 'lung': .*two.npz:insp"):
        read_points(f"{tmp_path / 'two.npz'}:lung")
    with pytest.raises(RegistrationError, match=r"one.npz:ids has the shape \(30,\)"):
        read_points(f"{tmp_path / 'one.npz'}:ids")


def test_pickled_arrays_are_never_loaded(tmp_path):
    np.savez(tmp_path / "evil.npz", cloud=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RegistrationError, match="evil.npz"):
        read_points(f"{tmp_path / 'evil.npz'}:cloud")


@pytest.mark.parametrize(("system", "sign"), [("LPS", -1), ("RAS", 1), (None, -1)])
def test_markups_json_states_its_frame(tmp_path, system, sign):
    points = [{"position": p.tolist(), "positionStatus": "defined"} for p in POINTS]
    points.append({"position": [0, 0, 0], "positionStatus": "undefined"})
    entry = {"type": "Fiducial", "coordinateUnits": ["mm", "UCUM", "millimeter"], "controlPoints": points}
    if system:
        entry["coordinateSystem"] = system
    (tmp_path / "l.mrk.json").write_text(json.dumps({"markups": [entry]}))

    np.testing.assert_allclose(read_landmarks(tmp_path / "l.mrk.json"), POINTS * [sign, sign, 1])


@pytest.mark.parametrize(
    ("header", "sign"),
    [
        ("# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n", -1),
        ("# Markups fiducial file version = 4.11\n# CoordinateSystem = RAS\n", 1),
        ("# Markups fiducial file version = 4.10\n# CoordinateSystem = 0\n", 1),
        ("# Markups fiducial file version = 4.10\n# CoordinateSystem = 1\n", -1),
        ("", 1),
    ],
)
def test_fcsv_states_its_frame(tmp_path, header, sign):
    rows = "".join(f"id_{i},{x!r},{y!r},{z!r},0,0,0,1,1,1,0,F-{i},,\n" for i, (x, y, z) in enumerate(POINTS.tolist()))
    (tmp_path / "l.fcsv").write_text(header + rows)

    np.testing.assert_allclose(read_landmarks(tmp_path / "l.fcsv"), POINTS * [sign, sign, 1])


@pytest.mark.parametrize(("suffix", "node"), [(".mrk.json", "Json"), (".fcsv", "Fiducial")])
def test_slicer_and_we_read_each_others_landmarks(tmp_path, suffix, node):
    slicer = pytest.importorskip("slicer")
    ours, theirs = tmp_path / "ours.mrk.json", tmp_path / f"theirs{suffix}"
    write_landmarks(torch.from_numpy(POINTS), ours)
    scene = slicer.vtkMRMLScene()
    markups, reader = slicer.vtkMRMLMarkupsFiducialNode(), slicer.vtkMRMLMarkupsJsonStorageNode()
    writer = getattr(slicer, f"vtkMRMLMarkups{node}StorageNode")()
    for each in (markups, reader, writer):
        scene.AddNode(each)
    reader.SetFileName(str(ours))
    assert reader.ReadData(markups)
    found = [markups.GetNthControlPointPosition(i) for i in range(markups.GetNumberOfControlPoints())]
    np.testing.assert_allclose(found, POINTS, atol=1e-9)

    writer.SetFileName(str(theirs))
    assert writer.WriteData(markups)
    np.testing.assert_allclose(read_landmarks(theirs), POINTS, atol=1e-9)


def test_landmarks_keep_their_order_and_may_be_few(tmp_path):
    write_landmarks(torch.from_numpy(POINTS[:3]), tmp_path / "l.csv")
    np.testing.assert_allclose(read_landmarks(tmp_path / "l.csv"), POINTS[:3], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", "a,b,c\n1,2,3\n", "does not have the columns x, y, z"),
        ("a.csv", "1,2\n3,4\n", "does not have the columns"),
        ("a.csv", "x,y,z\n1,2,3\n1,2\n", "lines that are not 3 numbers"),
        ("a.csv", "x,y,z\n1,2,3\n1,two,3\n", "lines that are not 3 numbers"),
        ("a.csv", "x,y,z\n1,2,3\n", "has 1 points"),
        ("a.csv", "x,y,z\n" + "nan,2,3\n" * 12, "NaN or infinite"),
        ("a.csv", "", "is empty"),
        ("a.csv", "# nothing\n", "is empty"),
        ("a.csv", "x,y,z,label\n" + "1,2,3,0.5\n" * 12, "not whole numbers"),
        ("a.csv", b"\xff\xfe\x00\x01" * 9, "has a heading and no lines"),
        ("a.npz", b"PK\x03\x04 cut", "is truncated"),
        ("a.npz", b"not a zip", "is truncated"),
        ("a.mrk.json", '{"markups": [{"controlPoints": [', "is truncated"),
        ("a.mrk.json", "[1, 2]", "no markups file"),
        ("a.mrk.json", '{"markups": [{"coordinateUnits": "m", "controlPoints": []}]}', "states the unit m"),
        ("a.mrk.json", '{"markups": []}', "no placed control points"),
        ("a.fcsv", "# version\n1,2\n", "is truncated"),
        ("a.fcsv", "# version\n", "no placed control points"),
        ("a.fcsv", "# CoordinateSystem = IJK\n1,1,2,3\n", "coordinate system 'IJK'"),
        ("a.txt", "1 2 3\n", "is no point file"),
    ],
)
def test_unreadable_files_are_refused_with_their_name(tmp_path, name, content, complaint):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(RegistrationError, match=complaint) as error:
        read_points(path).cloud().check(str(path))
    assert name in str(error.value) and "\n" not in str(error.value)


def test_missing_files_and_unwritable_places_are_refused(tmp_path):
    with pytest.raises(RegistrationError, match="gone.csv does not exist"):
        read_points(tmp_path / "gone.csv")
    with pytest.raises(RegistrationError, match="does not exist"):
        read_points(f"{tmp_path / 'gone.npz'}:key")
    for name in ("c.csv", "c.vtp", "c.mrk.json"):
        with pytest.raises(RegistrationError, match="cannot be written"):
            write_cloud(labeled_cloud(), tmp_path / "no" / "folder" / name)
    with pytest.raises(RegistrationError, match="cannot hold points"):
        write_cloud(labeled_cloud(), tmp_path / "c.txt")
