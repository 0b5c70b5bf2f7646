"""The learned similarity: its pose gradient, training by double backward, checkpoints, weights, and its use."""

import math
import signal

import pytest
import torch

from DiffRegLib.camera import c_arm
from DiffRegLib.cli import main
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import write_image
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.learned import Guide, LearnedSimilarity, descend_images
from DiffRegLib.methods.projective.network import RADIUS, UNIT, SimilarityNetwork, pushed, standardized
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.schedule import deviation
from DiffRegLib.methods.projective.training import SimilarityLearner, geodesic_slope, gradient_distance
from DiffRegLib.methods.projective.training_options import NetworkOptions, TrainingOptions
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.methods.projective.weights import read_weights, write_weights
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.projection import project
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.training.options import RunOptions
from DiffRegLib.training.trainer import train
from DiffRegLib.transforms.se3 import geodesic, perturbed

pytestmark = pytest.mark.usefixtures("one_thread")

CENTER = torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)
STILL = torch.eye(4, dtype=torch.float64)
CAMERA = c_arm(CENTER, 1020.0, 620.0, (16.0, 16.0), (24, 24))
SMALL = NetworkOptions(6.0, 24, features=2, width=4, blocks=1, encoder_width=4, stages=2, embedding=8)
SHORT = TrainingOptions(iterations=6, batch=2, cycle=4, occlusion=0.0)
RUN = RunOptions(device="cpu", checkpoint=3)


def hounsfield(cells=32, width=6.0) -> tuple[Image, torch.Tensor]:
    """A trunk of water with two bones and gas, without symmetry, and where its bones are."""
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] *= width
    affine[:3, 3] = CENTER - width * (cells - 1) / 2
    x, y, z = (Geometry((cells,) * 3, affine).grid().double() - CENTER).unbind(-1)
    bones = ((x - 30 - 0.4 * z) / 14) ** 2 + ((y + 15) / 18) ** 2 + (z / 60) ** 2 < 1
    bones |= ((x + 35) / 20) ** 2 + ((y - 10) / 12) ** 2 + ((z - 25) / 15) ** 2 < 1
    data = torch.full((cells,) * 3, -1000.0)
    data[(x / 85) ** 2 + (y / 65) ** 2 + (z / 90) ** 2 < 1] = 0
    data[bones] = 900
    data[((x + 10) / 18) ** 2 + ((y - 30) / 15) ** 2 + ((z + 35) / 20) ** 2 < 1] = -900
    return Image(data[None], affine), bones[None].float()


def learner(shape=SMALL, options=SHORT, cells=16, width=12.0) -> SimilarityLearner:
    ct, bones = hounsfield(cells, width)
    return SimilarityLearner(attenuation(ct), bones, CAMERA, STILL, shape, options)


@pytest.fixture(scope="module")
def double():
    """A network in double precision with random weights everywhere, its CT, poses, and X-rays of other poses."""
    torch.manual_seed(3)
    network = SimilarityNetwork(SMALL).double()
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    ct, _ = hounsfield(16, 12.0)
    volume = Image(attenuation(ct).data.double(), ct.affine)
    twists = torch.tensor([[0.1, -0.2, 0.15, 9.0, -4.0, 6.0], [-0.2, 0.1, 0.1, 5.0, 12.0, -20.0]]).double()
    poses = perturbed(STILL.expand(2, 4, 4), twists, torch.zeros(3))
    return network, volume, poses, standardized(project(volume, STILL.expand(2, 4, 4), CAMERA))


def test_pose_gradient_is_the_derivative_of_the_similarity(double):
    network, volume, poses, xrays = double
    with torch.no_grad():
        channels = Image(volume.data.expand(2, -1, -1, -1), volume.affine)
        gradient = network.slope(channels, poses, CENTER, CAMERA, xrays).slopes
        along = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        ahead, behind = (
            network.compare(channels, pushed(poses, step * along, CENTER), CAMERA, xrays) for step in (1e-6, -1e-6)
        )
    torch.testing.assert_close((gradient * along).sum(1), (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-7)


def test_double_backward_is_the_derivative_of_the_pose_gradient_to_the_weights(double):
    network, volume, poses, xrays = double
    wanted = geodesic_slope(poses, STILL.expand(2, 4, 4), CENTER)

    def loss():
        slope = network.slope(network.channels(volume), poses, CENTER, CAMERA, xrays).slopes
        return sum(gradient_distance(slope, wanted))

    parameters = list(network.parameters())
    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True, materialize_grads=True)
    directions = [torch.randn_like(p) for p in parameters]
    values = []
    for step in (1e-5, -2e-5):
        for parameter, direction in zip(parameters, directions):
            parameter.data += step * direction
        values.append(loss().item())
    for parameter, direction in zip(parameters, directions):
        parameter.data += 1e-5 * direction
    slope = sum((g * d).sum() for g, d in zip(gradients, directions)).item()
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3)
    assert all(g.abs().max() > 0 for name, g in zip(dict(network.named_parameters()), gradients) if "volume" in name)


@pytest.mark.parametrize("twist", [[0.4, -0.2, 0.3, 0, 0, 0], [0, 0, 0, 20.0, -35.0, 11.0]])
def test_wanted_gradient_points_from_the_target_to_the_pose(twist):
    target = perturbed(STILL[None], torch.tensor([[0.2, 0.1, -0.3, 5.0, 6.0, 7.0]]).double(), torch.zeros(3))
    pose = perturbed(target, torch.tensor([twist], dtype=torch.float64), CENTER)
    slope = geodesic_slope(pose, target, CENTER)
    torch.testing.assert_close(pushed(pose, -slope, CENTER), target, rtol=0, atol=1e-9)
    squared, _ = geodesic(pose, target, CENTER, RADIUS)
    torch.testing.assert_close(slope.square().sum(1), squared / UNIT**2)


def test_distance_of_gradients_counts_direction_and_length():
    slope = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert [v.item() for v in gradient_distance(slope, slope)] == pytest.approx([0, 0], abs=1e-12)
    assert [v.item() for v in gradient_distance(2 * slope, slope)] == pytest.approx([0, 2 * math.log(2) ** 2])
    assert [v.item() for v in gradient_distance(-slope, slope)] == pytest.approx([4, 0])


def test_untrained_similarity_is_zero_at_the_pose_of_a_line_integral():
    run = learner(options=TrainingOptions(augmentation=0.0, occlusion=0.0, target_rotation=0.0, target_translation=0.0))
    targets, starts, xrays, _ = run.simulator.draw([run.draws(n) for n in range(2)], run.device)
    assert torch.equal(targets, STILL.expand_as(targets)) and not torch.allclose(starts, targets)
    learned = LearnedSimilarity(run.network, {}, "cpu")
    volume = attenuation(hounsfield(16, 12.0)[0])
    image = project(run.volume, STILL, CAMERA, run.simulator.step)[0, 0]
    torch.testing.assert_close(standardized(image), xrays[0, 0], rtol=0, atol=1e-4)
    at_pose, _ = learned.value_and_gradient(volume, image, CAMERA, STILL)
    away, _ = learned.value_and_gradient(volume, image, CAMERA, starts[0])
    assert at_pose < 0.05 * away


def test_rate_is_cyclic():
    run = learner(options=TrainingOptions(learning_rate=1e-3, peak=5.0, cycle=10))
    rates = [run.rate(n) for n in range(21)]
    assert rates[0] == rates[10] == rates[20] == pytest.approx(1e-3)
    assert max(rates) == rates[5] == pytest.approx(5e-3)


def test_loss_of_the_pose_gradient_goes_down(tmp_path):
    options = TrainingOptions(
        iterations=200,
        batch=4,
        learning_rate=5e-4,
        norm_weight=0.05,
        target_rotation=10.0,
        target_translation=10.0,
        start_translation=40.0,
        occlusion=0.0,
    )
    shape = NetworkOptions(12.0, 16, features=2, width=4, blocks=1, encoder_width=8, stages=2, embedding=16)
    train(learner(shape, options), RunOptions(device="cpu"), tmp_path, {})
    names, *rows = [line.split(",") for line in (tmp_path / "trace.csv").read_text().splitlines()]
    for name in ("loss", "direction"):
        losses = [float(row[names.index(name)]) for row in rows]
        assert sum(losses[-40:]) < 0.8 * sum(losses[:40])


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_resumed_run_has_the_losses_of_an_uninterrupted_one(kind, tmp_path):
    options = TrainingOptions(**{**vars(SHORT), "optimizer": kind})
    folders = [tmp_path / name for name in ("whole", "half")]
    for folder in folders:
        folder.mkdir()
    whole, second = learner(options=options), learner(options=options)
    train(whole, RUN, folders[0], {})
    train(learner(options=TrainingOptions(**{**vars(options), "iterations": 3})), RUN, folders[1], {})
    train(second, RUN, folders[1], {}, resume=True)
    assert len({(folder / "trace.csv").read_text() for folder in folders}) == 1
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name]), name


def test_checkpoint_of_another_training_is_refused(tmp_path):
    train(learner(), RUN, tmp_path, {})
    with pytest.raises(RegistrationError, match="seed 0, not 1"):
        train(learner(options=TrainingOptions(**{**vars(SHORT), "seed": 1})), RUN, tmp_path, {}, resume=True)
    with pytest.raises(RegistrationError, match="other CT"):
        train(learner(cells=15), RUN, tmp_path, {}, resume=True)


def test_weights_keep_their_options_and_nothing_else_is_read(tmp_path):
    network = SimilarityNetwork(SMALL)
    write_weights(tmp_path / "network.safetensors", network, {"steps": 7})
    read, facts = read_weights(tmp_path)
    assert read.options == SMALL and facts == {"steps": 7}
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), read.state_dict().values()))
    torch.save(network.state_dict(), tmp_path / "pickle.pt")
    for name in ("pickle.pt", "absent"):
        with pytest.raises(RegistrationError):
            read_weights(tmp_path / name)


def test_network_trained_with_a_segmentation_asks_for_it():
    learned = LearnedSimilarity(SimilarityNetwork(NetworkOptions(**{**vars(SMALL), "segmentation": True})), {}, "cpu")
    ct, bones = hounsfield(16, 12.0)
    image = project(attenuation(ct), STILL, CAMERA)[0, 0]
    with pytest.raises(RegistrationError, match="segmentation"):
        learned.value_and_gradient(attenuation(ct), image, CAMERA, STILL)
    _, gradient = learned.value_and_gradient(attenuation(ct), image, CAMERA, STILL, bones)
    assert gradient.shape == (6,) and gradient.isfinite().all()


def test_deviation_is_that_of_the_last_ten():
    assert deviation([1.0] * 9) == math.inf
    assert deviation([100.0] + [1.0, 3.0] * 5) == pytest.approx(1.0)


@pytest.fixture
def files(tmp_path):
    ct, bones = hounsfield(16, 12.0)
    write_image(ct, tmp_path / "ct.nii.gz")
    write_image(Image(bones, ct.affine), tmp_path / "labels.nii.gz")
    shape = "--voxel 12 --detector 24 --size 24 --width 4 --blocks 1 --encoder-width 4 --stages 2 --embedding 8"
    words = ["train", "projective", str(tmp_path / "ct.nii.gz"), str(tmp_path / "labels.nii.gz")]
    return [*words, *shape.split(), "--checkpoint", "2"], tmp_path / "made" / "out"


def test_command_trains_and_goes_on(files, capsys):
    words, out = files
    assert main([*words, "-o", str(out), "--iterations", "3"]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["checkpoint.safetensors", "network.safetensors", "trace.csv"]
    assert main([*words, "-o", str(out)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*words[:4], "--size", "24", "-o", str(out), "--resume", "--iterations", "5"]) == 0
    lines = (out / "trace.csv").read_text().splitlines()
    assert len(lines) == 6 and lines[0] == "iteration,loss,direction,length,value,learning_rate,validation"
    assert LearnedSimilarity.load(out, "cpu").facts["steps"] == 5


@pytest.mark.parametrize("at, kept", [(1, False), (3, True)])
def test_canceled_command_keeps_its_last_checkpoint(files, capsys, monkeypatch, at, kept):
    words, out = files
    rate = SimilarityLearner.rate

    def interrupted(self, iteration):
        if iteration == at:
            signal.raise_signal(signal.SIGINT)
        return rate(self, iteration)

    monkeypatch.setattr(SimilarityLearner, "rate", interrupted)
    assert main([*words, "-o", str(out)]) == 130
    assert ("--resume" in capsys.readouterr().err) == kept
    if not kept:
        assert not out.parent.exists()
    else:
        assert sorted(p.name for p in out.iterdir()) == ["checkpoint.safetensors", "trace.csv"]
        assert len((out / "trace.csv").read_text().splitlines()) == 3


def test_bad_input_writes_nothing(files, capsys):
    words, out = files
    for extra in (["--labels", "7"], ["--batch", "0"], ["--geometry", "absent.json"], ["--resume"]):
        assert main([*words, "-o", str(out), *extra]) == 2
        assert not out.parent.exists()
    assert main(["train", "projective", words[3], words[3], "-o", str(out)]) == 2
    assert "Hounsfield" in capsys.readouterr().err


def test_network_first_then_gradient_ncc_reaches_the_pose():
    ct, _ = hounsfield()
    volume = attenuation(ct)
    scene = Scene(
        volume,
        views_of([Radiograph(project(volume, STILL, CAMERA)[0, 0], CAMERA)]),
        PoseOptions(levels=(24,), optimizer="lbfgs", descent_iterations=40, tolerance=0.0),
    )
    start = perturbed(STILL, torch.tensor([0.03, -0.02, 0.05, 6.0, -5.0, 4.0]).double(), CENTER)
    learned = LearnedSimilarity(learner(cells=32, width=6.0).network, {}, "cpu")
    approach = learned.between(volume, scene.views).approach(start)
    assert approach.settled and approach.losses[-1] < 0.1 * approach.losses[0]
    watch = Watch(60.0)
    end = descend_images(scene, Guide(learned).approach(scene, start, watch).pose, watch)
    places = [(pose[:3, :3] @ CENTER + pose[:3, 3] - CENTER).norm().item() for pose in (start, end)]
    assert places[1] < 0.2 * places[0]
    images = watch.rows[len(approach.losses) :]
    assert min(row.similarity for row in images) < images[0].similarity < 0
    assert [row.iteration for row in watch.rows[: len(approach.losses)]] == [*range(1, len(approach.losses) + 1)]
