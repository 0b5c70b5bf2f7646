"""Triangles and circles, and the training of neural registration on them."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.encoder import averaged, seen_grid
from DiffRegLib.methods.neural.model import Model
from DiffRegLib.methods.neural.prepare import Pair
from DiffRegLib.methods.neural.training import FieldLearner
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.methods.neural.voxels import Sites
from DiffRegLib.phantom.triangles import triangles_and_circles
from DiffRegLib.training.checkpoint import TRACE
from DiffRegLib.training.options import NETWORK, RunOptions
from DiffRegLib.training.trainer import train

SMALL = NeuralTrainingOptions(
    iterations=25,
    batch=2,
    width=32,
    units=16,
    frequencies=16,
    samples=300,
    regularized=16,
    stiffness=0.1,
    learning_rate=3e-3,
    spacing=4.0,
    seed=3,
)


RUN = RunOptions(device="cpu")


def similarities(folder) -> list[float]:
    """Of every step of a training."""
    names, *rows = [line.split(",") for line in (folder / TRACE).read_text().split()]
    return [float(row[names.index("similarity")]) for row in rows]


def test_a_shape_fills_what_its_radius_says():
    """Circles of radius r fill pi r^2 of the side squared, triangles 3 sqrt(3) / 4 r^2, with r from 0.2 to 0.4."""
    areas = torch.tensor([float(image.data.mean()) for image in triangles_and_circles(60)])
    assert 3 * math.sqrt(3) / 4 * 0.2**2 * 0.95 < areas.min() and areas.max() < math.pi * 0.4**2 * 1.05
    hollow = triangles_and_circles(3, hollow=True)[0].data
    assert float(hollow.mean()) < 0.25 and float(hollow.max()) > 0.9


def test_shapes_are_the_same_for_the_same_seed():
    first, again, other = (triangles_and_circles(1, seed=seed)[0].data for seed in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_training_lowers_the_loss_and_its_model_comes_back(tmp_path):
    images = triangles_and_circles(8, size=64)
    learner = FieldLearner(images, SMALL)
    unseen = range(1000, 1010)  # samples of no step
    before = learner(unseen)["similarity"]
    train(learner, RUN, tmp_path, {})
    assert learner(unseen)["similarity"] < 0.9 * before
    pair, model = Pair(*images[:2]), Model.load(tmp_path / NETWORK)
    points = images[0].grid().reshape(-1, 3)
    moved = model.field(pair).eval().transform()(points)
    assert torch.equal(moved, learner.model.field(pair).eval().transform()(points))
    assert (moved - points).norm(dim=1).max() > 0.5


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    images = triangles_and_circles(4, size=32)
    options = dataclasses.replace(SMALL, iterations=4, batch=1)
    folders = [tmp_path / name for name in ("whole", "half")]
    for folder in folders:
        folder.mkdir()
    train(FieldLearner(images, options), RUN, folders[0], {})
    train(FieldLearner(images, dataclasses.replace(options, iterations=2)), RUN, folders[1], {})
    train(FieldLearner(images, options), RUN, folders[1], {}, resume=True)
    one, other = (Model.load(folder / NETWORK).state_dict() for folder in folders)
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_gradients_that_were_added_by_hand_reach_the_trainer():
    """What the loss of a batch gives to the weights is the mean of what its pairs alone give."""
    learner = FieldLearner(triangles_and_circles(4, size=32), dataclasses.replace(SMALL, batch=2))
    weight = learner.model.networks[0].parameters().__next__()

    def gradient(samples):
        learner.zero_grad()
        learner(samples)["loss"].backward()
        return weight.grad.clone()

    torch.testing.assert_close(gradient([0, 1]), gradient([0]) + gradient([1]))  # each counts for its share of two


def test_one_image_learns_from_its_own_motion():
    options = dataclasses.replace(SMALL, batch=1, moved=1.0, motion=4.0, smoothness=(10.0, 20.0))
    learner = FieldLearner(triangles_and_circles(1, size=32), options)
    fixed, moving = learner._pair(learner.draws(0))
    assert torch.equal(moving.data, learner.images[0].data) and not torch.equal(fixed.data, moving.data)
    assert learner([0])["loss"].isfinite()


def test_the_encoder_sees_any_shape_of_box():
    lattice = Geometry((10, 40, 80), torch.eye(4, dtype=torch.float64))
    grid = seen_grid(lattice, 32)
    assert grid.shape == (4, 16, 32)
    assert torch.allclose(grid.corners(), lattice.corners())
    image = Image(torch.rand(1, 10, 40, 80), lattice.affine)
    assert averaged(image, 20).data.mean() == pytest.approx(float(image.data.mean()), abs=1e-5)


def test_what_cannot_be_trained_on_is_refused():
    flat = triangles_and_circles(3, size=32)
    with pytest.raises(RegistrationError, match="at least two"):
        FieldLearner(flat[:1], SMALL)
    with pytest.raises(RegistrationError, match="odd"):
        FieldLearner(flat, dataclasses.replace(SMALL, pairs="listed"))
    thick = Image(torch.rand(1, 4, 8, 8), torch.eye(4, dtype=torch.float64))
    with pytest.raises(RegistrationError, match="one kind"):
        FieldLearner([flat[0], thick], SMALL)
    with pytest.raises(RegistrationError, match="2 dimensions"):
        FieldLearner(flat, SMALL).model.field(Pair(thick, thick))


HYBRID = dataclasses.replace(SMALL, iterations=40, coarse=30, coarse_width=32, batch=4, learning_rate=2e-3, seed=0)


def test_the_network_of_voxels_goes_before_the_field_and_is_frozen_then(tmp_path):
    images = triangles_and_circles(6, size=64)
    learner = FieldLearner(images, HYBRID)
    train(FieldLearner(images, dataclasses.replace(HYBRID, iterations=HYBRID.coarse)), RUN, tmp_path, {})
    values = similarities(tmp_path)
    assert sum(values[-3:]) < 0.8 * sum(values[:3])
    first = Model.load(tmp_path / NETWORK)
    train(learner, RUN, tmp_path, {}, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(first.voxels.parameters(), learner.model.voxels.parameters()))
    assert not all(torch.equal(a, b) for a, b in zip(first.networks.parameters(), learner.model.networks.parameters()))
    pair, model = Pair(*images[:2]), Model.load(tmp_path / NETWORK)
    start, points = model.started(pair), images[0].grid().reshape(-1, 3)
    assert torch.equal(start.initial(points), learner.model.started(pair).initial(points))
    assert (start.initial(points) - points).norm(dim=1).max() > 0.5


def test_the_network_of_voxels_is_measured_by_theory():
    """A shift of both directions by opposite vectors is consistent; a stretch by s and back by nothing has slope s."""
    fixed = triangles_and_circles(1, size=32)[0]
    sites = Sites(fixed, (1, 32, 32))
    shift = torch.full((2, 1, 32, 32), 0.1)
    assert sites.inconsistency(shift, -shift).abs() < 1e-10
    stretch = torch.stack((torch.linspace(-1, 1, 32).expand(1, 32, 32) * 0.25, torch.zeros(1, 32, 32)))
    slope = 0.25 * 2 / 31 / (2 / 32)  # of one node to the next, in units of the frame
    assert sites.inconsistency(stretch, torch.zeros_like(stretch)) == pytest.approx(slope**2 / 4, rel=1e-4)
    assert torch.equal(sites.read(fixed.data, torch.zeros_like(shift))[0], fixed.data.reshape(-1))
