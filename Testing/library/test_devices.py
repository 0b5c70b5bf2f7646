"""Every method, and the training of each, on a GPU and in half precision: it finds what it finds elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from DiffRegLib.methods import dense, projective, splatting, supervoxels
from DiffRegLib.methods.neural.training import FieldLearner
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.methods.splatting.learning import SplatLearner
from DiffRegLib.methods.splatting.network_options import SplattingTrainingOptions
from DiffRegLib.methods.splatting.synthetic import MovedClouds
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.preparation import halved, prepare
from DiffRegLib.methods.supervoxels.training import Example, SupervoxelLearner
from DiffRegLib.points import PointCloud
from DiffRegLib.training.learner import Learner
from DiffRegLib.training.options import NETWORK, RunOptions
from DiffRegLib.training.trainer import train
from Testing.library import test_dense, test_neural, test_projective_network, test_splatting, test_splatting_network
from Testing.library import test_supervoxels_matching as matching
from Testing.library import test_supervoxels_training as training
from Testing.library.bodies import body_ct
from Testing.library.radiographed import QUICK, distance, far, patient, xray

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
DEVICES = ("cpu", "cuda")


def apart(register: Callable, options, points: torch.Tensor, **more) -> float:
    """mm, on average, between what the processor finds and what a GPU finds; both have moved the points."""
    moved = [register(options=dataclasses.replace(options, device=d), **more).transform(points) for d in DEVICES]
    assert all(found.device.type == "cpu" for found in moved)
    assert (moved[0] - points).norm(dim=1).mean() > 1
    return float((moved[0] - moved[1]).norm(dim=1).mean())


@needs_gpu
def test_clouds():
    points = test_splatting.scattered()
    pair = [PointCloud.plain(p) for p in (points, test_splatting.wave(points))]
    assert apart(splatting.register, test_splatting.QUICK, points, fixed=pair[0], moving=pair[1]) < 0.1


@needs_gpu
def test_clouds_with_a_network_that_adapts():
    points = test_splatting.scattered()
    pair = [PointCloud.plain(p) for p in (points, test_splatting.wave(points))]
    options = splatting.SplattingOptions(adaptation=3)
    network = test_splatting_network.awake()
    assert apart(splatting.register, options, points, fixed=pair[0], moving=pair[1], network=network) < 0.2


@needs_gpu
def test_images():
    moving = test_dense.pattern(test_dense.geometry())
    fixed = test_dense.carried(moving, test_dense.wave)
    points = fixed.grid().reshape(-1, 3)
    assert apart(dense.register, test_dense.QUICK, points, fixed=fixed, moving=moving) < 0.1


@needs_gpu
def test_supervoxels():
    scan = halved(prepare(body_ct(), matching.BOX))
    sides = matching._sides(scan, divide(scan, matching.FEW), matching._bent)
    points = scan.grid()[sides[0].body][::50]
    assert apart(supervoxels.register, matching.FAST, points, fixed=scan, moving=scan, sides=sides) < 0.5


@needs_gpu
def test_a_pose():
    ct = patient()
    poses = [
        projective.register(ct, [xray(ct, far())], dataclasses.replace(QUICK, device=device)).pose for device in DEVICES
    ]
    assert distance(ct, *poses) < 0.05


def clouds() -> Learner:
    options = SplattingTrainingOptions(iterations=3, batch=1, trees=0, moved_points=200)
    moved = MovedClouds([test_splatting_network.cloud()], options)
    return SplatLearner(moved.pair, {}, test_splatting_network.SMALL, options, [moved.pair(torch.Generator())])


def poses() -> Learner:
    return test_projective_network.learner(options=test_projective_network.TrainingOptions(iterations=3, batch=2))


def divided() -> Learner:
    scan = halved(prepare(body_ct(), training.BOX))
    labels = (scan.data > 0).long()
    example = Example(scan.data, divide(scan, training.FEW), labels)
    return SupervoxelLearner([example], 8, training.BOX, training.TrainingOptions(3, 2, block=6, warp=5.0))


def fields() -> Learner:
    images = [test_neural.image(warp=test_neural.wave), test_neural.image()]
    return FieldLearner(images, NeuralTrainingOptions(iterations=3, batch=1, units=8, layers=2))


MADE = pytest.mark.parametrize("made", [clouds, poses, divided, fields])


def last_loss(learner: Learner, folder, device: str, precision: str = "32") -> float:
    """After a training, which leaves a network."""
    folder = folder / f"{device}-{precision}"
    folder.mkdir()
    loss = train(learner, RunOptions(device=device, precision=precision, checkpoint=3), folder, {})["loss"]
    assert (folder / NETWORK).is_file()
    return loss


@MADE
@needs_gpu
def test_a_training_on_a_gpu(made, tmp_path):
    assert last_loss(made(), tmp_path, "cuda") == pytest.approx(last_loss(made(), tmp_path, "cpu"), rel=1e-2)


@MADE
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_a_training_in_half_precision(made, device, tmp_path):
    half = last_loss(made(), tmp_path, device, "bf16")
    assert half == pytest.approx(last_loss(made(), tmp_path, device), rel=0.05)
