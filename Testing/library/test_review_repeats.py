"""What of a result is chance: the registration runs again with other seeds, and the review maps the spread."""

import dataclasses
import json

import pytest
import torch

from DiffRegLib.cli import main
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image, write_image
from DiffRegLib.geometry import Geometry
from DiffRegLib.jobs import make_job, repeats
from DiffRegLib.jobs.job import read_job
from DiffRegLib.methods.method import Method, pair_inputs
from DiffRegLib.methods.registration import Provenance, Registration
from DiffRegLib.options import option
from DiffRegLib.transforms import Affine, write_transform
from Testing.library.geometry import smooth_image

SEED = 3


@dataclasses.dataclass(frozen=True)
class Drawing:
    seed: int = option(0, "seed of the draw")


@dataclasses.dataclass(frozen=True)
class Nothing:
    weight: float = option(1.0, "of nothing")


def shifted(inputs, options, folder, progress):
    """A method whose result is its seed: a shift of so many mm."""
    there, back = (Affine.translation(torch.tensor([sign * options["draw"].seed, 0.0, 0.0])) for sign in (1, -1))
    return Registration(there, back, (), Provenance("draw", "1", {}, options["draw"].seed, "cpu", 0.0, 0.0, {}))


def drawn(options):
    return Method(
        "draw", "draw", "Drawn Registration", "", {"draw": options}, pair_inputs(("image",), ""), f"{__name__}:shifted"
    )


@pytest.fixture
def result(tmp_path, monkeypatch):
    """The result folder of that method with seed 3."""
    monkeypatch.setattr(repeats, "method", lambda name: drawn(Drawing))
    image = tmp_path / "image.nii.gz"
    write_image(smooth_image(Geometry((16, 16, 16), torch.diag(torch.tensor([5.0, 5.0, 5.0, 1.0])))), image)
    folder = tmp_path / "result"
    make_job(folder, "draw", {"fixed": image, "moving": image}, {"draw": {"seed": SEED}})
    for name, sign in (("transform", 1.0), ("inverse", -1.0)):
        write_transform(Affine.translation(torch.tensor([sign * SEED, 0.0, 0.0])), folder / f"{name}.h5")
    return folder


def test_each_repeat_has_a_seed_of_its_own(result):
    found = repeats.again(read_job(result), 3)
    assert [round(float(t(torch.zeros(1, 3))[0, 0])) for t in found] == [4, 5, 6]


def test_the_spread_of_shifts_by_3_4_and_5_mm_is_one_millimeter_everywhere(result, tmp_path, capsys):
    maps = tmp_path / "maps"
    assert main(["review", str(result), "-o", str(tmp_path / "r.html"), "--maps", str(maps), "--again", "2"]) == 0
    assert "Registering again, 2 of 2." in capsys.readouterr().out
    spread = read_image(maps / "spread.nrrd").data
    assert torch.allclose(spread, torch.ones_like(spread), atol=1e-4)
    assert "repeats differ by 1.0 mm" in json.loads((maps / "review.json").read_text("utf-8"))["trust"]["sentence"]
    assert "spread over repeats" in (tmp_path / "r.html").read_text("utf-8")


def test_a_method_without_a_seed_and_a_file_cannot_be_repeated(result, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(repeats, "method", lambda name: drawn(Nothing))
    with pytest.raises(RegistrationError, match="Drawn Registration draws nothing at random"):
        repeats.again(read_job(result), 1)
    report = str(tmp_path / "r.html")
    assert main(["review", "--transform", str(result / "transform.h5"), "-o", report, "--again", "2"]) == 2
    assert "--again takes a number of repeats and one RESULT" in capsys.readouterr().err
