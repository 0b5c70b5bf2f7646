"""`diffreg train splatting` as its user meets it: a list of pairs in, weights out, which `diffreg splat` takes."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest

from DiffRegLib.cli import main
from DiffRegLib.training import registry

SMALL = "--trees 0 --batch 1 --grid 16 --blur 10 --device cpu --checkpoint 1".split()
SHIFT = np.array([6.0, -3.0, 2.0])


@pytest.fixture
def pairs(tmp_path):
    """Clouds, a shift away from each other, and a table of them with landmarks on one pair."""
    random = np.random.default_rng(0)
    for name in "abc":
        cloud = random.normal(size=(300, 3)) * 30
        for side, points in (("fixed", cloud), ("moving", cloud + SHIFT)):
            _table(tmp_path / f"{name}_{side}.csv", points)
            _table(tmp_path / f"{name}_{side}_marks.csv", points[:5])
    rows = ["fixed,moving,fixed_landmarks,moving_landmarks,split"]
    rows += ["a_fixed.csv,a_moving.csv,,,train", "b_fixed.csv,b_moving.csv,b_fixed_marks.csv,b_moving_marks.csv,train"]
    rows += ["c_fixed.csv,c_moving.csv,c_fixed_marks.csv,c_moving_marks.csv,validation"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    return tmp_path / "pairs.csv"


def _table(path, points):
    np.savetxt(path, points, delimiter=",", header="x,y,z", comments="")


def said(*arguments, code=0):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        returned = main([str(a) for a in arguments])
    assert returned == code, output.getvalue()
    return output.getvalue()


def test_a_list_becomes_weights_that_lead(pairs, tmp_path, in_process, monkeypatch):
    out = tmp_path / "out"
    train = ("train", "splatting", "--manifest", pairs, "-o", out, *SMALL, "--patience", "100")
    assert "Wrote" in said(*train, "--iterations", "2")
    assert {p.name for p in out.iterdir()} == {"checkpoint.safetensors", "network.safetensors", "trace.csv"}
    (tmp_path / "weights.json").write_text(
        json.dumps({"toy": {"method": "splatting", "title": "a toy", "file": "out/network.safetensors"}})
    )
    monkeypatch.setenv(registry.OWN, str(tmp_path))
    clouds = (tmp_path / "a_fixed.csv", tmp_path / "a_moving.csv")
    found = tmp_path / "found"
    said("splat", *clouds, "-o", found, "--network", "toy", "--adaptation", "1", "--fine-iterations", "0")
    stages = [row["stage"] for row in json.loads((found / "metrics.json").read_text())["trace"]]
    assert stages == ["adaptation"]
    roles = {entry["role"]: entry for entry in json.loads((found / "job.json").read_text())["inputs"]}
    assert roles["network"]["path"].endswith("network.safetensors")


def test_what_is_wrong_with_a_list_is_told_before_anything_is_made(pairs, tmp_path):
    pairs.write_text(pairs.read_text().replace("validation", "test").replace("c_moving.csv", "a_moving.csv"))
    told = said("train", "splatting", "--manifest", pairs, "-o", tmp_path / "out", *SMALL, code=2)
    assert "a_moving.csv in train and in test" in told
    assert "nothing to learn from" in said("train", "splatting", "-o", tmp_path / "out", *SMALL, code=2)
    assert not (tmp_path / "out").exists()


def test_more_labels_than_channels_are_refused(pairs, tmp_path):
    points = np.random.default_rng(1).normal(size=(40, 3)) * 30
    table = np.column_stack([points, np.arange(40) % 3])
    np.savetxt(tmp_path / "labeled.csv", table, delimiter=",", header="x,y,z,label", comments="")
    told = said("train", "splatting", "--scan", tmp_path / "labeled.csv", "-o", tmp_path / "out", *SMALL, code=2)
    assert "3 labels, --channels is 1" in told
