"""The network of supervoxels: its size, blocks of its output, training that resumes exactly, weights in a file."""

from __future__ import annotations

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.augmentation import augmented
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.model import Model, predict, read_model, write_model
from DiffRegLib.methods.supervoxels.network import SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import PreparationOptions, SegmentationOptions, TrainingOptions
from DiffRegLib.methods.supervoxels.preparation import halved, prepare
from DiffRegLib.methods.supervoxels.training import Example, Trainer, train
from DiffRegLib.training.tensors import write_tensors
from Testing.library.bodies import body_ct

BOX = PreparationOptions(spacing=8.0, box=(32, 24, 40))
FEW = SegmentationOptions(layers=2, classes=8, segments=12, margin=10.0)
SHORT = TrainingOptions(iterations=4, batch=2, block=6, warp=5.0, checkpoint=2, device="cpu")


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


def test_scan_and_classes_move_together(example):
    position = Example(example.scan * 0, torch.arange(20)[None, :, None, None].expand(1, 20, 12, 16).to(torch.uint8))
    scan = position.layers.float() * 50  # whose value is the class times 50
    still = TrainingOptions(affine=0.05, warp=8.0, noise=0.0)
    moved, classes = augmented(scan, position.layers, 16.0, still, torch.Generator().manual_seed(1))
    means = torch.nn.functional.avg_pool3d(moved[None], 2)[0] / 50
    assert (means[:, 2:-2, 2:-2, 2:-2] - classes[:, 2:-2, 2:-2, 2:-2]).abs().mean() < 0.5


def test_a_resumed_training_ends_with_the_same_weights(example, tmp_path):
    straight = Trainer([example], 8, BOX, SHORT)
    list(straight.steps())
    halfway = Trainer([example], 8, BOX, SHORT)
    steps = halfway.steps()
    next(steps), next(steps)
    halfway.save(tmp_path)
    again = Trainer([example], 8, BOX, SHORT)
    again.resume(tmp_path)
    assert len(again.trace) == 2
    list(again.steps())
    for a, b in zip(straight.network.state_dict().values(), again.network.state_dict().values()):
        assert torch.equal(a, b)
    assert [s.loss for s in straight.trace] == [s.loss for s in again.trace]


def test_training_teaches(example):
    trainer = Trainer([example], 8, BOX, TrainingOptions(iterations=25, batch=2, block=0, warp=2.0, device="cpu"))
    steps = list(trainer.steps())
    assert steps[-1].loss < 0.7 * steps[0].loss
    assert steps[-1].right > 2 / 8  # chance is 1 / 8


def test_a_checkpoint_of_another_training_is_refused(example, tmp_path):
    Trainer([example], 8, BOX, SHORT).save(tmp_path)
    with pytest.raises(RegistrationError, match="learning rate"):
        Trainer([example], 8, BOX, TrainingOptions(**{**vars(SHORT), "learning_rate": 0.1})).resume(tmp_path)
    other = Example(example.scan + 1, example.layers)
    with pytest.raises(RegistrationError, match="other scans"):
        Trainer([other], 8, BOX, SHORT).resume(tmp_path)


def test_weights_come_back_from_their_file(example, tmp_path):
    train(Trainer([example], 8, BOX, SHORT), tmp_path, {"reference": "body"})
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


def test_a_scan_unlike_the_reference_is_told(tmp_path):
    model = Model(SupervoxelNetwork(2, 8), BOX, {"confidence": 0.8})
    write_model(tmp_path / "n.safetensors", model)
    stored = read_model(tmp_path / "n.safetensors")
    stored.check(0.5, "a")
    with pytest.raises(RegistrationError, match="does not look like the reference"):
        stored.check(0.2, "knee.nii.gz")
