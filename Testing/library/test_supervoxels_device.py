"""The network of supervoxels where its option says: a GPU or the processor."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.model import Model, predict, read_model
from DiffRegLib.methods.supervoxels.network import SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import SupervoxelOptions
from DiffRegLib.methods.supervoxels.pipeline import by_network, register
from DiffRegLib.methods.supervoxels.preparation import halved, prepare
from DiffRegLib.methods.supervoxels.training import Example, SupervoxelLearner
from DiffRegLib.training.trainer import train
from Testing.library.bodies import body_ct
from Testing.library.test_supervoxels_training import BOX, FEW, RUN, SHORT, column

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
MATCHING = SupervoxelOptions(points=200, iterations=20)


@pytest.fixture(scope="module")
def example() -> Example:
    scan = halved(prepare(body_ct(), BOX))
    return Example(scan.data, divide(scan, FEW), (scan.data > 100).int())


@gpu
def test_a_sample_has_the_same_motion_on_a_gpu(example):
    options = dataclasses.replace(SHORT, noise=0.0, shade=20.0)
    learner = SupervoxelLearner([example], 8, BOX, options)
    scans, classes = learner._batch([learner.draws(7)])
    learner.cuda()
    there, those = learner._batch([learner.draws(7)])
    assert there.is_cuda and (there.cpu() - scans).abs().mean() < 0.1
    assert (those.cpu() == classes).float().mean() > 0.999


@gpu
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_training_on_a_gpu_teaches_validates_and_is_read_anywhere(example, tmp_path, precision):
    """Of which 25 steps teach more than chance; validation registers with the network where it is."""
    options = dataclasses.replace(SHORT, iterations=25, block=0, warp=2.0)
    chosen = dataclasses.replace(RUN, device="cuda", precision=precision, checkpoint=10)
    train(SupervoxelLearner([example], 8, BOX, options), chosen, tmp_path, {})
    losses = column(tmp_path, "loss")
    assert losses[-1] < 0.7 * losses[0]
    assert 0 < min(value for value in column(tmp_path, "validation") if value == value) < 1
    network, scan = read_model(tmp_path).network, Image(example.scan, torch.eye(4))
    here, there = predict(network, scan), predict(network.cuda(), scan)
    assert (here.layers == there.layers).float().mean() > 0.99
    assert there.confidence == pytest.approx(here.confidence, abs=0.01)


@gpu
def test_a_training_resumed_on_a_gpu_sees_the_same_samples(example, tmp_path):
    """With steps so short that the weights stay: the losses are those of the samples, not of the first."""
    chosen = dataclasses.replace(RUN, device="cuda", checkpoint=1)
    options = dataclasses.replace(SHORT, learning_rate=1e-6)
    folders = [tmp_path / name for name in ("straight", "halfway")]
    for folder in folders:
        folder.mkdir()
    train(SupervoxelLearner([example], 8, BOX, options), chosen, folders[0], {})

    def stop(fraction, message, iteration, **details):
        if iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SupervoxelLearner([example], 8, BOX, options), chosen, folders[1], {}, progress=stop)
    train(SupervoxelLearner([example], 8, BOX, options), chosen, folders[1], {}, resume=True)
    straight, halfway = (column(folder, "loss") for folder in folders)
    assert halfway == pytest.approx(straight, rel=1e-3)
    assert straight[2:] != pytest.approx(straight[:-2], rel=5e-3)


@gpu
def test_a_gpu_registers_as_the_processor_does():
    scans = body_ct(), body_ct((10.0, 0.0, 0.0))
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = Model(SupervoxelNetwork(2, 8).eval().requires_grad_(False), BOX)
        sides = by_network(scans, model, None, ("a", "b"), device)
        results.append(register(*scans, dataclasses.replace(MATCHING, device=device), sides=sides))
    points = scans[0].grid()[::4, ::4, ::4].reshape(-1, 3)
    first, second = (result.transform(points) for result in results)
    assert (first - second).norm(dim=1).mean() < 1.0  # of voxels of 16 mm; an untrained network's classes are noise
    assert results[1].provenance.device == torch.cuda.get_device_name()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told_before_any_work():
    model = Model(SupervoxelNetwork(2, 8), BOX)
    with pytest.raises(RegistrationError, match="finds no GPU"):
        by_network((body_ct(), body_ct()), model, None, ("a", "b"), "cuda")
    with pytest.raises(RegistrationError, match="finds no GPU"):
        register(body_ct(), body_ct(), dataclasses.replace(MATCHING, device="cuda"))
