"""`diffreg neural` as its user meets it: two files in, a result folder out, and a field that is used again."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess

import pytest
import torch

from DiffRegLib.cli import main
from DiffRegLib.files import read_transform, write_image
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image

QUICK = (
    *("--blurs", "4", "2", "--spacings", "4", "2", "--iterations", "30", "30", "--samples", "512", "512"),
    *("--units", "16", "--frequencies", "16", "--regularized", "16", "--similarity", "lncc", "--stiffness", "0.1"),
    *("--code-regularization", "0.001", "--learning-rate", "0.006", "--code-spacing", "20"),
)
SHIFT = torch.tensor([2.5, -2.0, 0.0])


@pytest.fixture
def neural(in_process):
    """Runs the command: its exit code, output and complaint."""

    def run(*arguments):
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = main(["neural", *map(str, arguments)])
        return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())

    return run


def blobs(shift: torch.Tensor) -> Image:
    """Blobs in a box of 48 mm, seen `shift` mm away."""
    lattice = Geometry((24, 24, 24), torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64)))
    generator = torch.Generator().manual_seed(0)
    centers = torch.rand(40, 3, generator=generator) * 48
    at = lattice.grid().reshape(-1, 3) + shift
    values = torch.exp(-(torch.cdist(at, centers) ** 2) / 50).sum(1)
    return Image(1000 * values.reshape(1, 24, 24, 24), lattice.affine)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    paths = folder / "fixed.nii.gz", folder / "moving.nii.gz"
    for path, shift in zip(paths, (SHIFT, 0 * SHIFT)):
        write_image(blobs(shift), path)
    return paths


def test_from_files_to_a_result_and_on_from_its_field(neural, pair, tmp_path):
    """fixed(x) = moving(x + shift): the transform found moves the middle by the shift."""
    first = neural(*pair, "-o", tmp_path / "first", "--save-field", *QUICK)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "first"
    for name in ("transform.h5", "inverse.h5", "metrics.json", "job.json", "overview.png", "field.safetensors"):
        assert (folder / name).is_file(), name
    middle = torch.tensor([[24.0, 24.0, 24.0], [30.0, 20.0, 26.0]])
    moved = read_transform(folder / "transform.h5")(middle) - middle
    assert (moved - SHIFT).norm(dim=1).mean() < 1.0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["field_folded_percent"] == 0 and metrics["field_inconsistency_mm"] < 2
    again = neural(*pair, "-o", tmp_path / "again", "--field", folder / "field.safetensors", *QUICK)
    assert again.returncode == 0, again.stderr
    losses = [json.loads((tmp_path / name / "metrics.json").read_text())["trace"] for name in ("first", "again")]
    assert losses[1][0]["similarity"] < losses[0][0]["similarity"] / 2


def test_a_quality_is_a_preset(capsys):
    with pytest.raises(SystemExit):
        main(["neural", "--help"])
    (named,) = set(re.findall(r"--quality\s+\{([a-z,\s]+)\}", capsys.readouterr().out))
    assert {"balanced", "fast", "best"} <= set(named.split(","))


def test_what_does_not_fit_is_refused_in_one_sentence(neural, pair, tmp_path):
    wrong = neural(*pair, "-o", tmp_path / "out", "--blurs", "4", "--iterations", "5")
    assert wrong.returncode == 2 and "--blurs" in wrong.stderr and len(wrong.stderr.strip().splitlines()) == 1
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"nothing")
    refused = neural(*pair, "-o", tmp_path / "out", "--field", other, *QUICK)
    assert refused.returncode == 2 and "not readable as safetensors" in refused.stderr
