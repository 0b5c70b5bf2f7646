"""A method outside of the repository: one folder and one line, and everything that derives from `METHOD` reaches it."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch

from DiffRegLib.cli import main
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image, write_image
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods import method, methods
from Testing import toy
from Testing.library.test_cli_files import diffreg

SHIFT = torch.tensor([7.0, -4.0, 2.0], dtype=torch.float64)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The method in a folder of its own, which this process and its workers see as an installed package."""
    site = str(toy.install(tmp_path / "site"))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", site)


@pytest.fixture
def pair(tmp_path):
    """A ball of 300 HU in air, and the same ball elsewhere."""
    geometry = Geometry.around(torch.tensor([[-30.0, -30.0, -30.0], [30.0, 30.0, 30.0]]), 2.0)
    for name, center in (("fixed", torch.zeros(3)), ("moving", SHIFT)):
        inside = (geometry.grid() - center).norm(dim=-1) < 14
        data = torch.where(inside, 300.0, -1000.0)[None]
        write_image(Image(data, geometry.affine), tmp_path / f"{name}.nii.gz", "int16")
    return tmp_path / "fixed.nii.gz", tmp_path / "moving.nii.gz"


def test_command_line_job_info_warp_and_evaluate_reach_it(installed, pair, tmp_path):
    fixed, moving = pair
    points = np.array([[1.0, 2, 3], [9, 9, 9]])
    for name, places in (("a", points), ("b", points + SHIFT.numpy())):
        np.savetxt(tmp_path / f"{name}.csv", places, delimiter=",", header="x,y,z", comments="")
    marks = ("--fixed-landmarks", tmp_path / "a.csv", "--moving-landmarks", tmp_path / "b.csv")
    out = tmp_path / "out"
    printed = diffreg("center", fixed, moving, "-o", out, "--preset", "bones", *marks)
    assert "target registration error of 2 landmarks" in printed
    core = {"transform.h5", "inverse.h5", "metrics.json", "job.json", "overview.png"}
    assert {p.name for p in out.iterdir()} == core | {"warped_moving.nii.gz", "warped_fixed.nii.gz", "centers.csv"}
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["landmarks"]["after_mm"]["max"] < 0.1  # centers of voxelized balls, 2 mm voxels
    assert metrics["folded_percent"] == 0 and metrics["points"] > 1000 and metrics["trace"][0]["stage"] == "center"
    job = json.loads((out / "job.json").read_text())
    assert job["method"] == "centers" and job["options"]["center"] == {"threshold": 200.0}

    assert "Center Registration: move centers of mass together" in diffreg("info", out)
    diffreg("warp", moving, out, "-o", tmp_path / "warped.nii.gz", "--like", fixed)
    warped, still = read_image(tmp_path / "warped.nii.gz").data, read_image(fixed).data
    assert float(((warped > -350) == (still > -350)).float().mean()) > 0.985  # its surface has 2.3 % of the voxels
    found = json.loads(diffreg("evaluate", out, *marks, "--json"))
    assert found["landmarks"]["after_mm"]["max"] < 0.1


def test_its_faults_are_worded_as_flags(installed, pair, tmp_path):
    complaint = diffreg("center", *pair, "-o", tmp_path / "out", "--threshold", "2000", code=2)
    assert complaint.splitlines()[-1] == "diffreg: Nothing is above --threshold: lower it."
    assert "--threshold is 9999" in diffreg("center", *pair, "-o", tmp_path / "out", "--threshold", "9999", code=2)
    assert not (tmp_path / "out").exists()


def test_it_is_trained(installed, pair, tmp_path):
    said_so = diffreg("train", "centers", pair[0], "-o", tmp_path / "learned", "--threshold", "5")
    assert "Learned {'threshold': 5.0}." in said_so and "loss 2" in said_so
    assert (tmp_path / "learned" / "checkpoint.safetensors").read_text() == str(pair[0])
    assert "learn where centers are" in help_of("train", "--help")


def test_it_is_known_only_where_it_is_installed(installed):
    assert method("centers").verb == "center" and [m.name for m in methods()][-1] == "centers"
    assert "move centers of mass together" in help_of("--help") and "[HU]" in help_of("center", "--help")


def test_a_method_that_is_not_there():
    with pytest.raises(RegistrationError, match="no method 'centers'.*splatting.*projective"):
        method("centers")


def help_of(*arguments):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        main(list(arguments))
    return output.getvalue()
