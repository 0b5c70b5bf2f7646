"""The network of supervoxels: its size, blocks of its output, training that resumes exactly, weights in a file."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from DiffRegLib.cli.training_folder import training_folder
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import write_image
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.augmentation import places
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.model import Model, finest_classes, means, predict, read_model, write_model
from DiffRegLib.methods.supervoxels.network import Groups, SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import PreparationOptions, SegmentationOptions, TrainingOptions
from DiffRegLib.methods.supervoxels.preparation import halved, prepare
from DiffRegLib.methods.supervoxels.training import Example, SupervoxelLearner
from DiffRegLib.methods.supervoxels.training_run import run
from DiffRegLib.methods.supervoxels.validation import SEED, Labeled, carried_dice
from DiffRegLib.review.metrics import dice, mean_dice
from DiffRegLib.training.checkpoint import TRACE
from DiffRegLib.training.options import RunOptions
from DiffRegLib.training.tensors import write_tensors
from DiffRegLib.training.trainer import train
from Testing.library.bodies import body_ct

BOX = PreparationOptions(spacing=8.0, box=(32, 24, 40))
FEW = SegmentationOptions(layers=2, classes=8, segments=12, margin=10.0)
SHORT = TrainingOptions(iterations=4, batch=2, block=6, warp=5.0)
RUN = RunOptions(device="cpu", checkpoint=2)


@pytest.fixture(scope="module")
def example() -> Example:
    scan = halved(prepare(body_ct(), BOX))
    return Example(scan.data, divide(scan, FEW))


def _count(*parts: torch.nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


def test_the_backbone_has_the_weights_of_the_paper():
    network = SupervoxelNetwork()
    assert _count(network.fine, network.coarse) == 216_768


def test_a_block_of_the_output_is_that_of_the_whole():
    network = SupervoxelNetwork(2, 8).eval()
    with torch.no_grad():
        features = network.features(torch.randn(1, 1, 24, 16, 20) * 300)
        whole, block = network.classify(features), network.classify(features[:, :, 2:9])
    assert whole.shape == (1, 2, 8, 12, 8, 10)
    assert torch.allclose(whole[:, :, :, 3:8], block[:, :, :, 1:-1], atol=1e-4)


@pytest.mark.parametrize(("groups", "width"), [(8, 32), (3, 128), (6, 24)])
def test_groups_that_go_as_one_are_groups(groups, width):
    """As a GPU computes them: four, one, and three at a time; with equal gradients."""
    torch.manual_seed(0)
    head = Groups(groups * width, 2 * groups, 3, padding=1, groups=groups).double()
    values = torch.randn(2, groups * width, 3, 4, 5, dtype=torch.double)
    found = [form(values) for form in (head.forward, head.joined)]
    slopes = [torch.autograd.grad(one.square().sum(), head.weight)[0] for one in found]
    assert torch.allclose(*found, atol=1e-9) and torch.allclose(*slopes, atol=1e-9)


def test_slabs_give_the_classes_of_the_whole():
    torch.manual_seed(0)
    network = SupervoxelNetwork(2, 8).eval()
    scan = Image(torch.randn(1, 80, 16, 20) * 300, torch.eye(4))
    with torch.no_grad():
        logits = network(scan.data[None])[0]
    finest = torch.nn.functional.interpolate(logits, scan.shape, mode="trilinear", align_corners=False)
    found = predict(network, scan)
    assert (found.layers == finest.argmax(1)).float().mean() > 0.999
    assert found.confidence == pytest.approx(float(logits.softmax(1).amax(1).mean()), abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (7, 4, 9)])
def test_the_compiled_loop_finds_what_interpolated_logits_say(shape):
    torch.manual_seed(1)
    logits = torch.randn(3, 20, *shape)
    found = finest_classes(logits, tuple(2 * n for n in shape[1:]))
    plain = torch.nn.functional.interpolate(logits, scale_factor=2, mode="trilinear", align_corners=False).argmax(1)
    assert torch.equal(found.long(), plain)


def test_the_head_sees_a_block_of_every_octant_as_it_sees_the_whole(example):
    """What lies around a block counts in it, so its logits are those of the whole scan."""
    torch.manual_seed(0)
    learner = SupervoxelLearner([example], 8, BOX, dataclasses.replace(SHORT, block=3)).eval()
    features = torch.randn(1, learner.network.head[0].in_channels, 10, 12, 14)
    number = torch.arange(10 * 12 * 14).reshape(1, 1, 10, 12, 14)
    with torch.no_grad():
        logits, where = learner._blocks(features, number, [learner.draws(1)])
        whole = learner.network.classify(features)[0].flatten(2)
    assert where.shape == (8, 1, 3, 3, 3)
    for block, at, octant in zip(logits, where.flatten(1), itertools.product((0, 1), repeat=3)):
        assert torch.allclose(block.flatten(2), whole[:, :, at], atol=1e-4)
        places = torch.stack((at // (12 * 14), at // 14 % 12, at % 14), 1)
        assert torch.equal(places >= torch.tensor([5, 6, 7]), torch.tensor(octant).bool().expand(27, 3))


def test_places_keep_their_bits_where_products_have_few(example):
    """In bfloat16 a place would have 8 bits: in this box, 1 mm and more."""
    learner = SupervoxelLearner([example], 8, BOX, SHORT)
    plain = learner._batch([learner.draws(3), learner.draws(4)])
    with torch.autocast("cpu", torch.bfloat16):
        again = learner._batch([learner.draws(3), learner.draws(4)])
    assert torch.equal(plain[0], again[0]) and torch.equal(plain[1], again[1])


def column(folder, name) -> list[float]:
    """Of the trace."""
    names, *rows = [line.split(",") for line in (folder / TRACE).read_text().split()]
    return [float(row[names.index(name)]) for row in rows]


def test_a_resumed_training_ends_with_the_same_weights(example, tmp_path):
    folders = [tmp_path / name for name in ("straight", "halfway")]
    for folder in folders:
        folder.mkdir()
    options = TrainingOptions(**{**vars(SHORT), "iterations": 4})
    straight, again = (SupervoxelLearner([example], 8, BOX, options) for _ in range(2))
    train(straight, RUN, folders[0], {})

    def stop(fraction, message, iteration, **details):
        if iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SupervoxelLearner([example], 8, BOX, options), RUN, folders[1], {}, progress=stop)
    assert len(column(folders[1], "loss")) == 2
    train(again, RUN, folders[1], {}, resume=True)
    for a, b in zip(straight.network.state_dict().values(), again.network.state_dict().values()):
        assert torch.equal(a, b)
    assert column(folders[0], "loss") == column(folders[1], "loss")


def test_training_teaches(example, tmp_path):
    options = TrainingOptions(iterations=25, batch=2, block=0, warp=2.0)
    train(SupervoxelLearner([example], 8, BOX, options), RUN, tmp_path, {})
    losses = column(tmp_path, "loss")
    assert losses[-1] < 0.7 * losses[0]
    assert column(tmp_path, "right")[-1] > 2 / 8  # chance is 1 / 8


def test_the_dice_of_carried_labels_is_that_of_the_motion_found():
    """Of a network that knows nothing, all voxels have the same classes, and the labels stay where they are."""
    scan = halved(prepare(body_ct(), BOX))
    labels = (scan.grid()[..., 2] > float(scan.center[2])).int()[None] + 1
    network = SupervoxelNetwork(2, 8).train()
    with torch.no_grad():
        network.head[-1].weight.zero_()
    moves = TrainingOptions(affine=0.0, warp=40.0, noise=0.0)
    known = [Labeled(scan.data, labels)]
    place = places(scan.shape, 16.0, moves, torch.Generator().manual_seed(SEED + moves.seed))
    moved = torch.nn.functional.grid_sample(labels[None].float(), place, "nearest", "border", align_corners=False)
    wanted = mean_dice(dice(Image(moved[0].int(), scan.affine), Image(labels, scan.affine)))
    assert carried_dice(network, known, 16.0, moves) == pytest.approx(wanted, abs=1e-6) and wanted < 1
    assert network.training


def test_labels_validate_a_training_from_files(tmp_path):
    scan = body_ct()
    write_image(scan, tmp_path / "body.nii.gz")
    write_image(Image((scan.data > 100).int(), scan.affine), tmp_path / "labels.nii.gz", "uint8")
    inputs = {"reference": str(tmp_path / "body.nii.gz"), "labels_1": str(tmp_path / "labels.nii.gz")}
    options = {
        "training": vars(SHORT),
        "run": {"device": "cpu", "checkpoint": 3},
        "preparation": vars(BOX),
        "segmentation": vars(FEW),
        "reference": {},
    }
    folder = tmp_path / "out"
    folder.mkdir()
    said = run(inputs, options, folder, False, lambda *a, **k: None)
    assert [value == value for value in column(folder, "validation")] == [False, False, True, True]
    assert "right in the last steps" in said
    best = min(value for value in column(folder, "validation") if value == value)
    assert read_model(folder).facts["dice"] == pytest.approx(1 - best, abs=1e-6)
    with pytest.raises(RegistrationError, match="2 label maps are given for 1 scans"):
        run({**inputs, "labels_2": inputs["labels_1"]}, options, folder, False, lambda *a, **k: None)
    away = scan.affine.clone()
    away[0, 3] += 5000
    write_image(Image((scan.data > 100).int(), away), tmp_path / "away.nii.gz", "uint8")
    with pytest.raises(RegistrationError, match="away.nii.gz names nothing in the scan"):
        run({**inputs, "labels_1": str(tmp_path / "away.nii.gz")}, options, folder, False, lambda *a, **k: None)


def test_a_training_is_not_resumed_with_another_reference(tmp_path):
    for name, center in (("here", (0.0, 0.0, 0.0)), ("there", (90.0, 0.0, 0.0))):
        write_image(body_ct(center), tmp_path / f"{name}.nii.gz")
    other = body_ct()
    write_image(Image(other.data.flip(1) * 0.9, other.affine), tmp_path / "other.nii.gz")
    options = {
        "training": vars(SHORT),
        "preparation": vars(BOX),
        "segmentation": vars(FEW),
        "reference": {},
        "run": vars(RUN),
    }
    folder = tmp_path / "out"
    folder.mkdir()
    run({"reference": str(tmp_path / "here.nii.gz")}, options, folder, False, lambda *a, **k: None)
    again = {**options, "training": {}}
    run({"reference": str(tmp_path / "here.nii.gz")}, again, folder, True, lambda *a, **k: None)
    with pytest.raises(RegistrationError, match="another reference"):
        run({"reference": str(tmp_path / "other.nii.gz")}, again, folder, True, lambda *a, **k: None)


def test_a_training_without_a_checkpoint_begins_with_its_prepared_scans(tmp_path, monkeypatch):
    """So what takes long may be prepared on one machine, and the steps taken on another."""
    write_image(body_ct(), tmp_path / "body.nii.gz")
    inputs, folders = {"reference": str(tmp_path / "body.nii.gz")}, [tmp_path / name for name in ("straight", "later")]
    options = {"training": vars(SHORT), "preparation": vars(BOX), "segmentation": vars(FEW), "reference": {}}
    options["run"] = vars(RUN)
    for folder in folders:
        folder.mkdir()
        run(inputs, options, folder, False, lambda *a, **k: None)
    (folders[1] / "checkpoint.safetensors").unlink()
    monkeypatch.setattr("DiffRegLib.methods.supervoxels.training_run.divide", None)
    run(inputs, {**options, "preparation": {}, "segmentation": {}}, folders[1], True, lambda *a, **k: None)
    assert column(folders[0], "loss") == column(folders[1], "loss")


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ((), "nothing was kept"),
        (("examples",), "prepared stays"),
        (("examples", "checkpoint"), "last checkpoint stays"),
    ],
)
def test_a_canceled_training_tells_what_stays(tmp_path, capsys, kept, words):
    with pytest.raises(KeyboardInterrupt), training_folder(tmp_path / "out"):
        for name in kept:
            (tmp_path / "out" / f"{name}.safetensors").touch()
        raise KeyboardInterrupt
    assert words in capsys.readouterr().err
    assert (tmp_path / "out").exists() == bool(kept)


def test_a_checkpoint_of_another_training_is_refused(example, tmp_path):
    train(SupervoxelLearner([example], 8, BOX, SHORT), RUN, tmp_path, {})
    faster = TrainingOptions(**{**vars(SHORT), "learning_rate": 0.1})
    with pytest.raises(RegistrationError, match="learning rate"):
        train(SupervoxelLearner([example], 8, BOX, faster), RUN, tmp_path, {}, resume=True)
    other = Example(example.scan + 1, example.layers)
    with pytest.raises(RegistrationError, match="other scans"):
        train(SupervoxelLearner([other], 8, BOX, SHORT), RUN, tmp_path, {}, resume=True)


def test_weights_come_back_from_their_file(example, tmp_path):
    train(SupervoxelLearner([example], 8, BOX, SHORT), RUN, tmp_path, {"reference": "body"})
    model = read_model(tmp_path)
    assert model.preparation == BOX and model.facts["steps"] == 4
    scan = Image(example.scan, torch.eye(4))
    assert torch.equal(predict(model.network, scan).layers, predict(model.network, scan).layers)


def test_other_files_are_no_network(tmp_path):
    write_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(1)}, {}, "something of another method")
    (tmp_path / "b.safetensors").write_bytes(b"no")
    for name, words in (("a", "something of another method"), ("b", "not readable"), ("c", "does not exist")):
        with pytest.raises(RegistrationError, match=words):
            read_model(tmp_path / f"{name}.safetensors")


def test_a_network_of_another_reference_or_count_of_layers_is_told(example):
    model = Model(SupervoxelNetwork(2, 8), BOX, {"reference": "body.nii.gz", "means": means(example.scan)})
    model.check_reference(Image(example.scan + 3, torch.eye(4)), "body.nii.gz")
    with pytest.raises(RegistrationError, match=r"trained for the reference body.nii.gz, which is not knee.nii.gz"):
        model.check_reference(Image(example.scan.flip(2), torch.eye(4)), "knee.nii.gz")
    model.check_layers(SegmentationOptions())  # nothing was asked for
    model.check_layers(SegmentationOptions(layers=2, classes=8))
    for asked in ({"layers": 4}, {"classes": 64}):
        with pytest.raises(RegistrationError, match="predicts 2 layers of 8 classes") as told:
            model.check_layers(SegmentationOptions(**asked))
        assert set(told.value.options) == set(asked)


def test_a_scan_unlike_the_reference_is_told(tmp_path):
    model = Model(SupervoxelNetwork(2, 8), BOX, {"confidence": 0.8})
    write_model(tmp_path / "n.safetensors", model)
    stored = read_model(tmp_path / "n.safetensors")
    stored.check(0.7, "a")
    with pytest.raises(RegistrationError, match="does not look like the reference"):
        stored.check(0.5, "another_patient.nii.gz")
