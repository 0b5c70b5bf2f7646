"""Poses as text: everything that a person may paste gives the same pose, and what is copied comes back to the bit."""

import json
import math

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.transforms import Affine, rigid, write_transform
from DiffRegLib.transforms.text import parse_pose

CENTER = (3.5, -129.75, 212.25)
NUMBERS = (10.0, -20.5, 30.25, 4.0, -5.5, 60.0)
POSE = rigid(torch.tensor(NUMBERS[:3]), torch.tensor(NUMBERS[3:]), torch.tensor(CENTER)).matrix
ROWS = POSE.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "10 -20.5 30.25 4 -5.5 60",
        "10, -20.5, 30.25, 4, -5.5, 60",
        "[10.0; -20.5; 30.25] (4; -5.5; 6e1)",
        "\t10\n-20.5\r\n30.25\n\n4 -5.5 60\n",
        "10 \u221220.5 30.25 4 \u22125.5 60",
        json.dumps(NUMBERS),
    ],
)
def test_six_numbers_are_degrees_and_mm_about_the_center(text):
    assert torch.equal(parse_pose(text, CENTER).matrix, POSE)


def test_the_six_numbers_turn_about_the_axes_of_the_patient():
    """A quarter about the long axis takes what is to the right of the center in front of it."""
    found = parse_pose("0 0 90 1 2 3", CENTER)
    point = torch.tensor(CENTER, dtype=torch.float64) + torch.tensor([10.0, 0.0, 0.0])
    expected = torch.tensor(CENTER, dtype=torch.float64) + torch.tensor([1.0, 12.0, 3.0])
    torch.testing.assert_close(found(point), expected)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS[:3]),
        json.dumps(sum(ROWS, [])),
        "; ".join(", ".join(map(repr, row)) for row in ROWS),
        str(ROWS).replace("],", "]\n"),
        " ".join(repr(value) for row in ROWS[:3] for value in row),
    ],
)
def test_twelve_and_sixteen_numbers_are_rows_of_a_matrix(text):
    assert torch.equal(parse_pose(text, CENTER).matrix, POSE)


def test_a_matrix_of_three_decimals_becomes_a_rotation():
    text = "\n".join(" ".join(f"{value:.3f}" for value in row) for row in ROWS)
    rotation = parse_pose(text, CENTER).matrix[:3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(rotation, POSE[:3, :3], atol=1e-3, rtol=0)


def itk_text(kind, parameters, fixed):
    return (
        "#Insight Transform File V1.0\n#Transform 0\n"
        f"Transform: {kind}_double_3_3\nParameters: {' '.join(map(repr, parameters))}\n"
        f"FixedParameters: {' '.join(map(repr, fixed))}\n"
    )


def test_the_text_of_an_itk_file_is_turned_from_lps():
    """A turn about the long axis and a shift, written in LPS: x and y change their sign, the turn does not."""
    angle = math.radians(25.0)
    expected = rigid(torch.tensor([0.0, 0.0, 25.0]), torch.tensor([-4.0, 5.0, 6.0]), torch.tensor([-7.0, -8.0, 9.0]))
    center, shift = (7.0, 8.0, 9.0), (4.0, -5.0, 6.0)
    euler = itk_text("Euler3DTransform", (0.0, 0.0, angle, *shift), (*center, 0.0))
    versor = itk_text("VersorRigid3DTransform", (0.0, 0.0, math.sin(angle / 2), *shift), center)
    c, s = math.cos(angle), math.sin(angle)
    affine = itk_text("AffineTransform", (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0, *shift), center)
    for text in (euler, versor, affine, "  \n" + euler.replace("\n", "\r\n")):
        torch.testing.assert_close(parse_pose(text, CENTER).matrix, expected.matrix, atol=1e-9, rtol=0)


def test_a_file_of_this_library_can_be_pasted(tmp_path):
    write_transform(Affine(POSE), tmp_path / "pose.tfm")
    text = (tmp_path / "pose.tfm").read_text(encoding="utf-8")
    torch.testing.assert_close(parse_pose(text, CENTER).matrix, POSE, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 numbers"),
        ("1 2 3", "3 numbers"),
        ("1 2 3 4 5 6 7", "7 numbers"),
        ("1 2 3 4 5 here", "'here'"),
        ("1 2 3 4 5 nan", "not finite"),
        ("1 2 3 4 5 inf", "not finite"),
        ("1.1 0 0 0  0 1 0 0  0 0 1 0  0 0 0 1", "not rigid"),
        ("-1 0 0 0  0 1 0 0  0 0 1 0  0 0 0 1", "not rigid"),
        ("0 " * 16, "last row"),
        (str(POSE.T.tolist()), "row by row"),
        (itk_text("AffineTransform", (2.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0, 0, 0, 0), (0.0, 0.0, 0.0)), "not rigid"),
        ("Transform: nonsense", "whole file"),
        (itk_text("Euler3DTransform", (0.0, 0.0), (0.0,)), "whole file"),
    ],
)
def test_what_is_no_pose_is_refused_in_one_sentence(text, said):
    with pytest.raises(RegistrationError, match=said) as error:
        parse_pose(text, CENTER)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
