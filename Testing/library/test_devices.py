"""Every method, and the training of each, on a GPU and in half precision: it finds what it finds elsewhere.

Where there is no GPU, a pretended one refuses what a real one would, see `card`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import pytest
import torch

from DiffRegLib.methods import dense, neural, projective, splatting, supervoxels
from DiffRegLib.methods.neural.training import FieldLearner
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.methods.projective.learned import Guide, LearnedSimilarity
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.methods.splatting.learning import SplatLearner
from DiffRegLib.methods.splatting.network_options import SplattingTrainingOptions
from DiffRegLib.methods.splatting.synthetic import MovedClouds
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.preparation import halved, prepare
from DiffRegLib.methods.supervoxels.training import Example, SupervoxelLearner
from DiffRegLib.points import PointCloud
from DiffRegLib.radiographs import projection
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.training.learner import Learner
from DiffRegLib.training.options import NETWORK, RunOptions
from DiffRegLib.training.trainer import train
from DiffRegLib.transforms import Affine
from DiffRegLib.transforms.se3 import perturbed
from Testing.library import test_dense, test_neural, test_projective_network, test_splatting, test_splatting_network
from Testing.library import test_supervoxels_matching as matching
from Testing.library import test_supervoxels_training as training
from Testing.library.bodies import body_ct
from Testing.library.card import pretended
from Testing.library.radiographed import QUICK, distance, far, near, patient, xray

DEVICES = ("cpu", "cuda")
pytestmark = [pytest.mark.usefixtures("gpu", "one_thread"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def gpu():
    with contextlib.nullcontext() if torch.cuda.is_available() else pretended():
        yield


def apart(register: Callable, options, points: torch.Tensor, **more) -> float:
    """mm, on average, between what the processor finds and what a GPU finds; both have moved the points."""
    moved = [register(options=dataclasses.replace(options, device=d), **more).transform(points) for d in DEVICES]
    assert all(found.device.type == "cpu" for found in moved)
    assert (moved[0] - points).norm(dim=1).mean() > 1
    return float((moved[0] - moved[1]).norm(dim=1).mean())


def test_clouds():
    points = test_splatting.scattered(250)
    pair = [PointCloud.plain(p) for p in (points, test_splatting.wave(points))]
    assert apart(splatting.register, test_splatting.QUICK, points, fixed=pair[0], moving=pair[1]) < 0.1


def test_clouds_with_a_network_that_adapts():
    points = test_splatting.scattered(250)
    pair = [PointCloud.plain(p) for p in (points, test_splatting.wave(points))]
    options = splatting.SplattingOptions(adaptation=3)
    network = test_splatting_network.awake()
    assert apart(splatting.register, options, points, fixed=pair[0], moving=pair[1], network=network) < 0.2


@pytest.mark.parametrize("affine", [False, True])
def test_images(affine):
    moving = test_dense.pattern(test_dense.geometry(24, 3.0))
    fixed = test_dense.carried(moving, test_dense.wave)
    points = fixed.grid().reshape(-1, 3)
    options = dense.DenseOptions(coarsest=4, affine=affine)
    assert apart(dense.register, options, points, fixed=fixed, moving=moving) < 0.1


def test_images_by_a_neural_field():
    fixed, moving = test_neural.image(warp=test_neural.wave), test_neural.image()
    points = fixed.grid().reshape(-1, 3)
    options = dataclasses.replace(test_neural.SMALL, iterations=(20, 10))
    assert apart(neural.register, options, points, fixed=fixed, moving=moving) < 0.2


def test_supervoxels():
    scan = halved(prepare(body_ct(), matching.BOX))
    sides = matching._sides(scan, divide(scan, matching.FEW), matching._bent)
    points = scan.grid()[sides[0].body][::50]
    assert apart(supervoxels.register, matching.FAST, points, fixed=scan, moving=scan, sides=sides) < 0.5


def test_a_pose():
    ct = patient()
    poses = [
        projective.register(ct, [xray(ct, far())], dataclasses.replace(QUICK, device=device)).pose for device in DEVICES
    ]
    assert distance(ct, *poses) < 0.05


def test_a_pose_of_an_x_ray_that_looks_otherwise():
    ct, options = patient(), dataclasses.replace(QUICK, starts=8, rounds=1, refined=2, levels=(32,))
    image = xray(ct, near(), "frontal")
    view = Radiograph(image.image**1.5, image.camera, kind="log")
    found = [projective.register(ct, [view], dataclasses.replace(options, device=device)) for device in DEVICES]
    assert {result.appearance for result in found} == {"different"}
    assert distance(ct, *(result.pose for result in found)) < 0.2


def test_a_pose_by_a_network():
    learner = test_projective_network.learner(cells=32, width=6.0)
    ct, bones = test_projective_network.hounsfield()
    camera = test_projective_network.CAMERA
    image = projection.project(attenuation(ct), test_projective_network.STILL, camera)[0, 0]
    start = perturbed(test_projective_network.STILL, torch.tensor([0.02, 0, 0.03, 4.0, -3, 3]).double(), ct.center)
    found = []
    for device in DEVICES:
        guide = Guide(LearnedSimilarity(learner.network, {}, device), bones)
        comparison = guide.learned.between(attenuation(ct), views_of([Radiograph(image, camera)]), bones)
        found.append(Affine(comparison.approach(start).pose.cpu()))
    assert distance(ct, *found) < 0.5


def clouds() -> Learner:
    options = SplattingTrainingOptions(iterations=3, batch=1, trees=0, moved_points=200)
    moved = MovedClouds([test_splatting_network.cloud()], options)
    return SplatLearner(moved.pair, {}, test_splatting_network.SMALL, options, [moved.pair(torch.Generator())])


def poses() -> Learner:
    return test_projective_network.learner(options=test_projective_network.TrainingOptions(iterations=3, batch=2))


def divided() -> Learner:
    """Without what is drawn where the training is: noise, and what drops out."""
    scan = halved(prepare(body_ct(), training.BOX))
    labels = (scan.data > 0).long()
    example = Example(scan.data, divide(scan, training.FEW), labels)
    options = training.TrainingOptions(iterations=3, batch=2, block=6, warp=5.0, noise=0.0)
    learner = SupervoxelLearner([example], 8, training.BOX, options)
    learner.network.pyramid.project[-1].p = 0.0
    return learner


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
def test_a_training_on_a_gpu(made, tmp_path):
    assert last_loss(made(), tmp_path, "cuda") == pytest.approx(last_loss(made(), tmp_path, "cpu"), rel=1e-2)


@MADE
@pytest.mark.parametrize("device", DEVICES)
def test_a_training_in_half_precision(made, device, tmp_path):
    half = last_loss(made(), tmp_path, device, "bf16")
    assert half == pytest.approx(last_loss(made(), tmp_path, device), rel=0.05)
