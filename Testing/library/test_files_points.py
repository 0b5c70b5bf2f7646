"""Points keep their names: read from every format, paired by them, carried with them, and told when one is missing."""

import csv
import json

import numpy as np
import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_landmarks, read_points, write_points
from DiffRegLib.points.listed import PointList, paired
from DiffRegLib.transforms import Affine, write_transform
from Testing.library.test_cli_files import diffreg

PLACES = np.random.default_rng(4).uniform(-50, 50, (6, 3))
NAMES = ("carina", "apex L", "apex R", "xiphoid", "dome", "Wirbelkörper, 5.")
LPS = np.array([-1.0, -1.0, 1.0])


def listed(order=range(6), skipped=()) -> PointList:
    index = list(order)
    placed = torch.tensor([n not in skipped for n in index])
    descriptions = tuple(f"seen by {n}" for n in index)
    return PointList(torch.from_numpy(PLACES[index]), tuple(NAMES[n] for n in index), descriptions, placed)


@pytest.mark.parametrize("suffix", [".csv", ".mrk.json", ".fcsv"])
def test_names_and_descriptions_survive_the_file(tmp_path, suffix):
    write_points(listed(), tmp_path / f"l{suffix}")
    back = read_points(tmp_path / f"l{suffix}")
    np.testing.assert_allclose(back.points, PLACES, atol=1e-5)
    assert back.names == NAMES
    assert back.descriptions[3] == "seen by 3"


@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv"])
def test_a_point_that_was_skipped_keeps_its_row_and_has_no_place(tmp_path, suffix):
    write_points(listed(skipped=(2,)), tmp_path / f"l{suffix}")
    back = read_points(tmp_path / f"l{suffix}")
    assert back.placed.tolist() == [True, True, False, True, True, True] and len(back.names) == 6
    assert len(read_landmarks(tmp_path / f"l{suffix}")) == 5


@pytest.mark.parametrize(
    ("status", "place", "placed"),
    [
        ("defined", [1, 2, 3], True),
        ("undefined", [0, 0, 0], False),
        ("preview", [1, 2, 3], False),
        ("missing", [1, 2, 3], False),
        ("defined", None, False),
    ],
)
def test_every_status_of_slicer_is_obeyed(tmp_path, status, place, placed):
    first = {"label": "a", "position": [0, 0, 0]}
    entry = {"controlPoints": [first, {"label": "b", "positionStatus": status, "position": place}]}
    (tmp_path / "l.mrk.json").write_text(json.dumps({"markups": [entry]}))
    assert read_points(tmp_path / "l.mrk.json").placed.tolist() == [True, placed]


def test_points_are_paired_by_name_and_what_one_side_lacks_is_told():
    pairs = paired(listed(), listed((5, 3, 0, 4, 1), skipped=(4,)))
    assert pairs.by == "name" and len(pairs) == 4
    torch.testing.assert_close(pairs.fixed, pairs.moving)
    assert set(pairs.left_out) == {"dome", "apex R"}
    assert "dome" in pairs.note and "apex R" in pairs.note


def test_without_common_names_the_order_pairs_and_skipped_rows_go_on_both_sides():
    anonymous = PointList(torch.from_numpy(PLACES), defined=torch.tensor([True, True, True, False, True, True]))
    pairs = paired(listed(skipped=(1,)), anonymous)
    assert pairs.by == "order" and pairs.left_out == ("row 2", "row 4")
    torch.testing.assert_close(pairs.fixed, pairs.moving)
    again = PointList(torch.from_numpy(PLACES), ("P",) * 6)
    assert paired(again, again).by == "order"  # a name that all share names none


def test_lists_that_cannot_be_paired_are_refused_with_the_reason():
    short = PointList(torch.zeros(4, 3), tuple("wxyz"))
    with pytest.raises(RegistrationError, match="6 landmarks and b has 4, and no name is on both sides"):
        paired(listed(), short, ("a", "b"))
    twice = PointList(torch.zeros(4, 3), ("w", "w", "x", "y"))
    with pytest.raises(RegistrationError, match="the name 'w' occurs twice"):
        paired(listed(), twice)
    with pytest.raises(RegistrationError, match="no placed landmark in common"):
        paired(listed(skipped=(0, 1, 2)), listed(skipped=(3, 4, 5)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("label,x,y,z\n{n},{x},{y},{z}\n", True),
        ("x;y;z;name\r\n{x};{y};{z};{n}\r\n", True),
        ("\ufeffx,y,z\n{x},{y},{z}\n", False),
        ("X [mm],Y [mm],Z [mm]\n{x},{y},{z}\n", False),
        ("label,l,p,s,defined,selected\n{n},{l},{p},{z},1,1\n", True),
        ("z,y,x,label\n{z},{y},{x},{n}\n", True),
        (",x,y,z\n0,{x},{y},{z}\n", False),
    ],
)
def test_the_heading_of_a_table_is_obeyed(tmp_path, text, names):
    head, row = text.splitlines(keepends=True)
    lines = [head]
    for (x, y, z), n in zip(PLACES.round(4).tolist(), "abcdef"):
        lines.append(row.format(x=x, y=y, z=z, l=-x, p=-y, n=n))
    (tmp_path / "t.csv").write_bytes("".join(lines).encode())
    table = read_points(tmp_path / "t.csv")
    np.testing.assert_allclose(table.points, PLACES, atol=1e-4)
    assert table.names == (tuple("abcdef") if names else ())


def test_numbers_of_excel_in_german_and_text_in_other_encodings(tmp_path):
    (tmp_path / "t.csv").write_bytes("x;y;z;name\n1,5;-2,25;3;Schädel\n".encode("cp1252"))
    table = read_points(tmp_path / "t.csv")
    assert table.points.tolist() == [[1.5, -2.25, 3.0]] and table.names == ("Schädel",)
    (tmp_path / "u.csv").write_text("x\ty\tz\n1\t2\t3\n", encoding="utf-16")
    assert read_points(tmp_path / "u.csv").points.tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x [m],y [m],z [m]\n0.1,0.2,0.3\n", "convert it to RAS mm"),
        ("0,1,2\n10,20,30\n", "heading 0, 1, 2"),
        ("i,j,k\n1,2,3\n", "does not have the columns"),
    ],
)
def test_columns_that_are_not_millimeters_are_refused(tmp_path, text, complaint):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RegistrationError, match=complaint):
        read_points(tmp_path / "t.csv")


@pytest.mark.parametrize(("system", "sign"), [("LPS", -1), ("RAS", 1), ("0", 1), ("1", -1)])
def test_fcsv_of_all_versions(tmp_path, system, sign):
    x, y, z = PLACES[0]
    head = f"# Markups fiducial file version = 4.6\r\n# CoordinateSystem = {system}\r\n"
    columns = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\r\n"
    (tmp_path / "a.fcsv").write_text(f"{head}{columns}n1,{x},{y},{z},0,0,0,1,1,1,0,tip,,\r\n", newline="")
    found = read_points(tmp_path / "a.fcsv")
    np.testing.assert_allclose(found.points[0], PLACES[0] * [sign, sign, 1])
    assert found.names == ("tip",)
    old = f"# name = old\n# columns = label,x,y,z,sel,vis\ntip,{x},{y},{z},1,1\n"  # Slicer 3
    (tmp_path / "old.fcsv").write_text(old)
    found = read_points(tmp_path / "old.fcsv")
    np.testing.assert_allclose(found.points[0], PLACES[0])
    assert found.names == ("tip",)


@pytest.mark.parametrize("suffix", [".csv", ".mrk.json", ".fcsv"])
def test_warp_carries_points_with_all_that_they_are_called(tmp_path, suffix):
    shift = torch.tensor([5.0, -3.0, 2.0], dtype=torch.float64)
    write_transform(Affine.translation(shift), tmp_path / "t.tfm")
    write_points(listed(skipped=() if suffix == ".csv" else (2,)), tmp_path / f"l{suffix}")
    diffreg("warp", tmp_path / f"l{suffix}", tmp_path / "t.tfm", "-o", tmp_path / f"w{suffix}")
    moved = read_points(tmp_path / f"w{suffix}")
    kept = moved.placed.numpy()
    np.testing.assert_allclose(moved.points.numpy()[kept], PLACES[kept] - shift.numpy(), atol=1e-4)
    assert moved.names == NAMES and moved.descriptions == listed().descriptions


def test_columns_of_a_table_that_nobody_asked_for_stay(tmp_path):
    (tmp_path / "t.csv").write_text("x,y,z,label,observer\n1,2,3,tip,A\n4,5,6,base,B\n")
    write_points(read_points(tmp_path / "t.csv"), tmp_path / "u.csv")
    with open(tmp_path / "u.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["observer"] for row in rows] == ["A", "B"] and [row["label"] for row in rows] == ["tip", "base"]


def test_evaluate_says_by_what_landmarks_were_matched_and_who_is_missing(tmp_path):
    write_transform(Affine.identity(), tmp_path / "t.tfm")
    write_points(listed(), tmp_path / "f.mrk.json")
    write_points(listed((4, 2, 0, 1, 3)), tmp_path / "m.csv")
    flags = ["--fixed-landmarks", tmp_path / "f.mrk.json", "--moving-landmarks", tmp_path / "m.csv"]
    found = json.loads(diffreg("evaluate", tmp_path / "t.tfm", *flags, "--json"))["landmarks"]
    assert (found["count"], found["of"], found["matched_by"]) == (5, 6, "name")
    assert found["left_out"] == [NAMES[5]] and found["after_mm"]["max"] < 1e-4
    text = diffreg("evaluate", tmp_path / "t.tfm", *flags)
    assert "5 of 6 landmarks, matched by name" in text and NAMES[5] in text
