"""The list of pairs that a training learns from: read as it is meant, refused before the first step where it is not."""

from __future__ import annotations

import pytest

from DiffRegLib.errors import RegistrationError
from DiffRegLib.training.manifest import of_split, read_manifest


@pytest.fixture
def listed(tmp_path):
    """Writes a table beside files a.csv, b.csv, c.csv, d.csv and m.nii.gz, and reads it."""
    for name in ("a.csv", "b.csv", "c.csv", "d.csv", "m.nii.gz"):
        (tmp_path / name).write_text("0,0,0\n")

    def read(*lines):
        (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
        return read_manifest(tmp_path / "pairs.csv", ("points",))

    return read


def test_lines_are_pairs_with_their_split(listed, tmp_path):
    lines = listed("fixed, moving, split", "a.csv, b.csv, train", "", "c.csv, d.csv, test")
    assert [(line.fixed, line.split) for line in lines] == [
        (str(tmp_path / "a.csv"), "train"),
        (str(tmp_path / "c.csv"), "test"),
    ]
    assert of_split(lines, "test") == lines[1:]


def test_without_a_split_all_is_learned_from(listed):
    assert [line.split for line in listed("moving,fixed", "a.csv,b.csv")] == ["train"]


def test_landmarks_and_labels_belong_to_a_side(listed, tmp_path):
    head = "fixed,moving,fixed_landmarks,moving_landmarks,fixed_labels,moving_labels"
    (line,) = listed(head, "a.csv,b.csv,c.csv,d.csv,m.nii.gz,m.nii.gz")
    assert line.moving_landmarks == str(tmp_path / "d.csv") and line.fixed_labels == str(tmp_path / "m.nii.gz")


@pytest.mark.parametrize(
    "lines, words",
    [
        (("fixed,other", "a.csv,b.csv"), "has the columns other"),
        (("fixed", "a.csv"), "does not have the columns fixed and moving"),
        (("fixed,moving", "a.csv,"), "line 2 .* has no moving"),
        (("fixed,moving", "a.csv,b.csv", "a.csv,absent.csv"), "absent.csv does not exist"),
        (("fixed,moving", "a.csv,m.nii.gz"), "m.nii.gz cannot be used as moving in line 2"),
        (("fixed,moving,split", "a.csv,b.csv,training"), "line 2 .* split 'training'"),
        (("fixed,moving,split", "a.csv,b.csv,test"), "no line of the split train"),
        (("fixed,moving,fixed_landmarks", "a.csv,b.csv,c.csv"), "landmarks of one side alone"),
        (("fixed,moving,split", "a.csv,b.csv,train", "c.csv,a.csv,test"), "a.csv in train and in test"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(listed, lines, words):
    with pytest.raises(RegistrationError, match=words):
        listed(*lines)
