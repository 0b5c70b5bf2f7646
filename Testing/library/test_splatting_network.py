"""The network of splatting: its shape, its symmetry, the inverse that it has by construction, and what it learns."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.splatting import SplattingOptions, register
from DiffRegLib.methods.splatting.learning import SplatLearner
from DiffRegLib.methods.splatting.misfit import misfit
from DiffRegLib.methods.splatting.network import Frame, Motion, SplatNetwork, exponential, shifted, smoothed
from DiffRegLib.methods.splatting.network_options import NetworkOptions, SplattingTrainingOptions
from DiffRegLib.methods.splatting.synthetic import MovedClouds
from DiffRegLib.methods.splatting.unet import UNet
from DiffRegLib.methods.splatting.weights import read_network, write_network
from DiffRegLib.points import PointCloud
from DiffRegLib.training.options import NETWORK, RunOptions
from DiffRegLib.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = NetworkOptions(grid=32)
NO_FINE = SplattingOptions(fine_iterations=0, adaptation=0)


def cloud(count=400, seed=0, labels=1) -> PointCloud:
    generator = torch.Generator().manual_seed(seed)
    points = 30 * torch.randn(count, 3, generator=generator)
    return PointCloud.labeled(points, torch.arange(count) % labels + 1)


def awake(options=SMALL, seed=0) -> SplatNetwork:
    """A network that moves something, as none does before training."""
    torch.manual_seed(seed)
    network = SplatNetwork(options)
    for step in network.steps:
        torch.nn.init.normal_(step.up[0][0].weight, std=1.0)
    return network


def seen(network, *clouds):
    frame = Frame.around(*(c.points for c in clouds))
    inside = [c.at(frame.inside(c.points)) for c in clouds]
    return network(*inside), frame, inside


def test_its_layers_are_those_of_the_paper():
    """662205 is what `monai.networks.nets.UNet` of MONAI 1.6 counts for this shape."""
    network = UNet(2, 3)
    assert sum(p.numel() for p in network.parameters()) == 662_205
    assert network(torch.randn(1, 2, 16, 24, 32)).shape == (1, 3, 16, 24, 32)


def test_untrained_it_moves_nothing():
    motion, _, (fixed, _) = seen(SplatNetwork(SMALL), cloud(), cloud(seed=1))
    assert torch.equal(motion(fixed.points), fixed.points)


def test_swapping_the_clouds_turns_the_sign_of_every_step():
    network, (a, b) = awake(), (cloud(), cloud(seed=1))
    there, _, _ = seen(network, a, b)
    back, _, _ = seen(network, b, a)
    for one, other in zip(there.velocities, back.velocities):
        assert float(one.detach().abs().max()) > 0.02
        torch.testing.assert_close(other, -one, rtol=0, atol=2e-4)


def test_the_composition_of_halves_is_inverted_by_turned_signs():
    """Half, second, half: both ways through a motion of 20 mm ends within 0.2 mm in a frame 300 mm wide."""
    generator = torch.Generator().manual_seed(1)
    raw = [torch.randn(1, 3, 32, 32, 32, generator=generator) for _ in range(2)]
    velocities = tuple(0.05 * v / v.std() for v in (smoothed(smoothed(r, 9), 9) for r in raw))
    motion, points = Motion(velocities), 0.7 * (2 * torch.rand(2000, 3, generator=generator) - 1)
    moved = motion(points)
    error = (motion.inverse()(moved) - points).norm(dim=1)
    assert (moved - points).norm(dim=1).mean() * 150 > 15
    assert error.mean() * 150 < 0.2


def test_the_exponential_of_a_constant_is_a_shift():
    velocity = torch.tensor([0.1, -0.05, 0.2]).reshape(1, 3, 1, 1, 1).expand(1, 3, 16, 16, 16)
    points = torch.tensor([[0.1, 0.2, -0.3], [0.0, 0.5, 0.5]])
    moved = shifted(exponential(velocity), points)
    torch.testing.assert_close(moved, points + velocity[0, :, 0, 0, 0], rtol=0, atol=1e-6)


def test_it_learns_a_pair_whose_motion_is_known(tmp_path):
    """One pair by heart, both ways, in a few steps: what is left of its motion is less than half."""
    options = SplattingTrainingOptions(
        iterations=40, batch=1, trees=0, moved_points=400, motion=10.0, learning_rate=5e-3
    )
    pair = MovedClouds([cloud()], options).pair(torch.Generator().manual_seed(0))
    train(SplatLearner(lambda draws: pair, {}, SMALL, options), RunOptions(device="cpu"), tmp_path, {})
    motion, frame, _ = seen(read_network(tmp_path), pair.fixed, pair.moving)
    for go, (points, belong) in ((motion, pair.there), (motion.inverse(), pair.back)):
        left = (frame.outside(go(frame.inside(points))).detach() - belong).norm(dim=1).mean()
        assert left < 0.5 * (points - belong).norm(dim=1).mean()


def test_pairs_of_moved_clouds_know_where_points_belong():
    """Without noise each fixed point belongs onto a moving one, where both sides keep all points."""
    options = SplattingTrainingOptions(trees=0, moved_points=300, shared=1.0, jitter=0.0)
    pair = MovedClouds([cloud(300)], options).pair(torch.Generator().manual_seed(3))
    for points, belong, others in ((*pair.there, pair.moving.points), (*pair.back, pair.fixed.points)):
        assert (points - belong).norm(dim=1).mean() > 1.0
        assert torch.cdist(belong, others, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max() < 0.01


def test_the_misfit_has_the_slope_of_its_value():
    """Along a shift of all fixed points, the gradient is what the difference quotient of the value says."""
    fixed, moving = cloud(200), cloud(200).at(cloud(200).points + torch.tensor([4.0, 0.0, 0.0]))
    frame = Frame.around(fixed.points, moving.points)
    still = torch.zeros(1, 3, 8, 8, 8)
    along = torch.zeros_like(still)
    along[:, 0] = 1.0

    def value(step):
        return misfit(Motion((still + step * along,)), frame, fixed, moving, 12.0, SplattingOptions())

    step = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(value(step), step)
    ahead, behind = (value(torch.tensor(s)) for s in (1e-3, -1e-3))
    assert float(slope) == pytest.approx(float(ahead - behind) / 2e-3, rel=0.05)
    assert slope < 0  # towards the moving cloud


def test_adaptation_lowers_the_misfit_and_leaves_the_network_alone():
    fixed = cloud()
    moving = fixed.at(fixed.points + 5 * torch.sin(fixed.points.roll(1, 1) / 30))
    network = SplatNetwork(SMALL)
    before = {name: t.clone() for name, t in network.state_dict().items()}
    options = SplattingOptions(adaptation=15, fine_iterations=0)
    found = register(fixed, moving, options, network=network)
    values = [row.similarity for row in found.trace if row.stage == "adaptation"]
    assert len(values) == 15
    still, moved = (register(fixed, moving, o, network=network) for o in (NO_FINE, options))
    errors = [(r.transform(fixed.points) - moving.points).norm(dim=1).mean() for r in (still, moved)]
    assert errors[1] < 0.8 * errors[0]
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())


def test_what_it_leads_to_is_inverted_and_does_not_fold():
    a, b = cloud(), cloud(seed=1)
    found = register(a, b, NO_FINE, network=awake())
    points = a.points[a.points.norm(dim=1) < 50]
    there = found.transform(points)
    assert (there - points).norm(dim=1).mean() > 0.3
    assert (found.inverse(there) - points).norm(dim=1).mean() < 0.2


def test_fine_levels_follow_it():
    """A shift of 3 mm, which a network that moves nothing leaves to the fine levels."""
    fixed = cloud(600)
    moving = fixed.at(fixed.points + torch.tensor([3.0, 0.0, 0.0]))
    options = SplattingOptions(initialization="none", adaptation=0, fine_sigmas=(6.0, 3.0))
    found = register(fixed, moving, options, network=SplatNetwork(SMALL))
    assert (found.transform(fixed.points) - moving.points).norm(dim=1).mean() < 1.0
    assert {row.stage for row in found.trace} == {"fine, 6 mm", "fine, 3 mm"}


def test_labels_have_channels_of_their_own():
    network = awake(NetworkOptions(grid=32, channels=2))
    a, b = cloud(labels=2), cloud(seed=1, labels=2)
    motion, _, _ = seen(network, a, b)
    swapped = PointCloud(b.points, b.weights, 1 - b.channels, b.labels)
    other, _, _ = seen(network, a, swapped)
    assert not torch.allclose(motion.velocities[0], other.velocities[0], atol=1e-3)
    with pytest.raises(RegistrationError, match="share 3 labels"):
        register(cloud(labels=3), cloud(seed=1, labels=3), NO_FINE, network=network)


def test_weights_come_back_and_others_are_refused(tmp_path):
    network = awake()
    write_network(tmp_path / NETWORK, network, {})
    back = read_network(tmp_path)
    assert back.options == SMALL
    assert all(torch.equal(t, network.state_dict()[name]) for name, t in back.state_dict().items())
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(RegistrationError, match="is a pickle"):
        read_network(tmp_path / "weights.pt")


def test_the_network_is_asked_for_fading_only_with_fine_levels():
    with pytest.raises(RegistrationError, match="fine iterations"):
        register(
            cloud(), cloud(seed=1), SplattingOptions(fine_iterations=0, outside="fade"), network=SplatNetwork(SMALL)
        )


def test_lead_reports_its_steps():
    told = []
    options = SplattingOptions(adaptation=2, fine_iterations=0)
    register(
        cloud(), cloud(seed=1), options, network=SplatNetwork(SMALL), progress=lambda f, m, **d: told.append((f, m))
    )
    assert told[-1] == (1.0, "The network has led the way.") and told[0][1].startswith("Adapting")


@pytest.mark.parametrize(("name", "value", "remedy"), [("grid", 30, "choose 32"), ("smoothing", 4, "choose 5")])
def test_a_shape_that_no_network_can_have_is_told(name, value, remedy):
    with pytest.raises(RegistrationError, match=remedy) as told:
        SplatNetwork(dataclasses.replace(SMALL, **{name: value}))
    assert told.value.options == (name,)
