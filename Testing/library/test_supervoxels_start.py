"""A training of supervoxels that begins with the weights of another."""

from __future__ import annotations

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import write_image
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.model import read_model
from DiffRegLib.methods.supervoxels.training_run import run
from Testing.library.bodies import body_ct
from Testing.library.test_supervoxels_training import BOX, FEW, RUN, SHORT, column


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The options of a training that is done by now, and its folder, beside which lie its scan and another."""
    folder, scan = tmp_path_factory.mktemp("trained"), body_ct()
    write_image(scan, folder / "body.nii.gz")
    write_image(Image(scan.data.flip(1) * 0.9, scan.affine), folder / "other.nii.gz")
    options = {"preparation": vars(BOX), "segmentation": vars(FEW), "reference": {}, "run": vars(RUN)}
    options["training"] = {**vars(SHORT), "iterations": 25}
    (folder / "out").mkdir()
    run({"reference": str(folder / "body.nii.gz")}, options, folder / "out", False, lambda *a, **k: None)
    return options, folder / "out"


def go_on(trained, folder, scan="body", segmentation=None, start=True, **training):
    """Another training of two steps, which begins with the weights of the one that is done."""
    options, done = trained
    inputs = {"reference": str(done.parent / f"{scan}.nii.gz")} | ({"start": str(done)} if start else {})
    options = {**options, "training": {**options["training"], "iterations": 2, **training}}
    options["segmentation"] = {**options["segmentation"], **(segmentation or {})}
    run(inputs, options, folder, False, lambda *a, **k: None)


def test_a_training_begins_with_the_weights_of_another(trained, tmp_path):
    """Its first steps are as good as the last of the other."""
    go_on(trained, tmp_path, learning_rate=1e-7)
    losses = column(trained[1], "loss")
    assert max(column(tmp_path, "loss")) < (losses[0] + min(losses[-5:])) / 2


def test_means_that_have_settled_stay_and_all_weights_move(trained, tmp_path):
    go_on(trained, tmp_path, learning_rate=1e-3, settled=True)
    before, after = (read_model(folder).network.state_dict() for folder in (trained[1], tmp_path))
    for name, values in before.items():
        assert torch.equal(values, after[name]) == ("running" in name or "num_batches" in name), name


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"scan": "other"}, r"which is not .*other.nii.gz"),
        ({"segmentation": {"classes": 10}}, "another count of layers"),
        ({"seed": 1}, "another division of .*body.nii.gz"),
        ({"start": False, "settled": True}, "name it with --start"),
    ],
)
def test_a_start_with_weights_that_do_not_fit_is_told(trained, tmp_path, changed, words):
    with pytest.raises(RegistrationError, match=words):
        go_on(trained, tmp_path, **changed)
