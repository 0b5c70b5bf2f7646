"""Registration by a neural field on small images whose motion is known."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from DiffRegLib.errors import Cancelled, RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.neural import METHOD, PRESETS, NeuralOptions, register
from DiffRegLib.methods.neural.export import export
from DiffRegLib.methods.neural.features import feature_volume
from DiffRegLib.methods.neural.loss import Regularization, Route, SampleCorrelation, compare, compare_reference
from DiffRegLib.methods.neural.pipeline import new_field
from DiffRegLib.methods.neural.prepare import Pair, chosen_similarity, linear_part
from DiffRegLib.transforms import Affine, rigid
from DiffRegLib.transforms.folds import least_determinant

SMALL = NeuralOptions(
    units=32,
    frequencies=16,
    regularized=32,
    blurs=(4.0, 2.0),
    spacings=(4.0, 2.0),
    iterations=(50, 50),
    samples=(512, 512),
    code_spacing=20.0,
    similarity="mind",
    learning_rate=5e-3,
    stiffness=0.1,
    code_regularization=0.001,
)


def image(shape=(28, 30, 32), spacing: float = 2.0, seed: int = 0, warp=lambda x: x, flat: bool = False) -> Image:
    """Blobs of random sizes and brightness, seen through `warp`: image(x) = blobs(warp(x))."""
    affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64))
    lattice = Geometry((1, *shape[1:]) if flat else shape, affine)
    generator = torch.Generator().manual_seed(seed)
    count = 60
    centers = torch.rand(count, 3, generator=generator) * torch.tensor(shape[::-1]) * spacing
    widths, heights = torch.rand(count, generator=generator) * 5 + 3, torch.randn(count, generator=generator)
    if flat:
        centers[:, 2] = 0
    at = warp(lattice.grid().reshape(-1, 3))
    values = torch.exp(-(torch.cdist(at, centers) ** 2) / (2 * widths**2)) @ heights
    return Image(values.reshape(1, *lattice.shape), affine)


def wave(points: Tensor) -> Tensor:
    """A smooth motion of up to 4 mm; its slope is at most 4 * 2 pi / 60."""
    x, y, z = points.unbind(-1)
    k = 2 * math.pi / 60
    return points + torch.stack((4 * torch.sin(k * y), 3 * torch.cos(k * x), 0 * z), -1)


def inner(lattice: Image, margin: float = 8.0) -> Tensor:
    """Voxel centers at least `margin` mm from the sides."""
    points = lattice.grid().reshape(-1, 3)
    last = (lattice.size.float() - 1) * lattice.spacing.float()
    wide = last > 2 * margin
    return points[(((points > margin) & (points < last - margin)) | ~wide).all(1)]


def error(transform, points: Tensor, truth: Tensor) -> float:
    return float((transform(points) - truth).norm(dim=1).mean())


@pytest.mark.parametrize("similarity", ["mind", "lncc", "ncc"])
def test_a_smooth_warp_is_recovered_without_folds(similarity):
    fixed, moving = image(warp=wave), image()
    result = register(fixed, moving, dataclasses.replace(SMALL, similarity=similarity))
    points = inner(fixed)
    assert error(result.transform, points, wave(points)) < 0.35 * error(lambda p: p, points, wave(points))
    assert least_determinant(result.transform.displacement(fixed).image).min() > 0
    assert error(lambda p: result.inverse(result.transform(p)), points, points) < 0.1


def test_mind_sees_through_an_inverted_contrast():
    fixed, moving = image(warp=wave), image()
    inverted = Image(3 - 2 * moving.data, moving.affine)
    points = inner(fixed)
    result = register(fixed, inverted, dataclasses.replace(SMALL, similarity="auto"))
    assert result.metrics["similarity"] == "mind"
    assert error(result.transform, points, wave(points)) < 0.4 * error(lambda p: p, points, wave(points))


def test_a_correlation_of_two_modalities_is_warned_of():
    fixed = image()
    inverted = Image(3 - 2 * fixed.data, fixed.affine)
    assert chosen_similarity("auto", Pair(fixed, fixed)) == ("mixed", "")
    assert chosen_similarity("mind", Pair(fixed, inverted)) == ("mind", "")
    similarity, sentence = chosen_similarity("ncc", Pair(fixed, inverted))
    assert similarity == "ncc" and "mind is a better" in sentence


def test_equal_images_stay_where_they_are():
    same = image()
    result = register(same, same, SMALL)
    assert error(result.transform, inner(same), inner(same)) < 0.2
    assert result.support.covers(inner(same)).float().mean() > 0.9
    assert not result.support.covers(torch.tensor([500.0, 0.0, 0.0]))


def test_a_flat_pair_moves_in_its_plane():
    fixed, moving = image(warp=wave, flat=True), image(flat=True)
    result = register(fixed, moving, dataclasses.replace(SMALL, similarity="lncc"))
    points = inner(fixed)
    assert error(result.transform, points, wave(points)) < 0.4 * error(lambda p: p, points, wave(points))
    assert torch.equal(result.transform(points)[:, 2], points[:, 2])


def test_the_field_is_found_on_top_of_an_initial_transform():
    """Turned by 20 degrees, out of reach of the field; T = initial after field, so the truth is turn(wave(x))."""
    turn = rigid(torch.tensor([0.0, 0.0, 20.0]), torch.tensor([5.0, -3.0, 2.0]), image().center)
    back = turn.inverse()
    fixed, moving = image(warp=wave), image(warp=back)
    points = inner(fixed)
    truth = turn(wave(points))
    result = register(fixed, moving, SMALL, initial=turn)
    assert error(result.transform, points, truth) < 0.4 * error(turn, points, truth)
    assert error(lambda p: result.inverse(result.transform(p)), points, points) < 0.1


def test_an_initial_field_is_composed_as_well():
    start = Affine.translation(torch.tensor([6.0, 0.0, 0.0])).displacement(image())
    moving = image(warp=lambda x: x - torch.tensor([6.0, 0.0, 0.0]))
    fixed = image(warp=wave)
    points = inner(fixed, 14.0)
    truth = wave(points) + torch.tensor([6.0, 0.0, 0.0])
    result = register(fixed, moving, SMALL, initial=start)
    assert error(result.transform, points, truth) < 0.4 * error(start, points, truth)
    assert torch.allclose(linear_part(start, fixed), Affine.translation(torch.tensor([6.0, 0, 0])).matrix, atol=1e-3)


def test_a_mask_keeps_what_lies_outside_from_pulling():
    """Half of the moving image is replaced by another: the masked half is registered as if it were not there."""
    fixed, moving, other = image(warp=wave), image(), image(seed=9)
    k = moving.shape[2] // 2
    mixed = Image(torch.cat((moving.data[..., :k], other.data[..., k:]), -1), moving.affine)
    kept = torch.zeros_like(moving.data)
    kept[..., : k - 2] = 1
    mask = Image(kept, moving.affine)
    points = inner(fixed)
    points = points[points[:, 0] < (k - 8) * 2.0]
    masked = register(fixed, mixed, SMALL, masks=(mask, mask))
    assert error(masked.transform, points, wave(points)) < 0.4 * error(lambda p: p, points, wave(points))


def test_a_field_that_is_worse_than_its_start_is_not_the_result():
    """Equal images, and a field to start from that moves them apart; no step is taken."""
    same = image()
    field = new_field(same, SMALL)
    field.networks[0].last_bias.data.fill_(0.1)
    result = register(same, same, dataclasses.replace(SMALL, iterations=(0, 1), learning_rate=1e-6), field=field)
    assert torch.equal(result.transform(inner(same)), inner(same))
    assert result.metrics["notes"] and result.metrics["dissimilarity"][1] > result.metrics["dissimilarity"][0]


def test_landmarks_pull_where_they_have_a_weight():
    """Of two images that tell nothing of the motion, the landmarks alone tell it."""
    same = image()
    points = inner(same)[::200]
    pair = points, points + torch.tensor([2.0, 0.0, -1.0])
    options = dataclasses.replace(SMALL, iterations=(20, 20))
    free = register(same, same, options, landmarks=pair)
    pulled = register(same, same, dataclasses.replace(options, landmark_weight=1000.0), landmarks=pair)
    assert error(free.transform, *pair) > 1.9
    assert error(pulled.transform, *pair) < 0.5


def test_the_seed_decides_the_result():
    fixed, moving = image(warp=wave), image()
    options = dataclasses.replace(SMALL, iterations=(5, 5))
    points = inner(fixed)
    first, again = (register(fixed, moving, options).transform(points) for _ in range(2))
    other = register(fixed, moving, dataclasses.replace(options, seed=1)).transform(points)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_progress_tells_every_step_and_cancels():
    fixed, moving = image(warp=wave), image()
    options = dataclasses.replace(SMALL, iterations=(3, 4))
    seen = []
    result = register(fixed, moving, options, progress=lambda fraction, message, **more: seen.append((fraction, more)))
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen) and seen[-1][0] == 1
    assert sum("loss" in more for _, more in seen) == len(result.trace) == 7
    assert len({row.stage for row in result.trace}) == len({row.level for row in result.trace}) == 2

    def cancel(fraction, message, **more):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        register(fixed, moving, options, progress=cancel)


def test_time_and_plateau_end_the_work():
    fixed, moving = image(warp=wave), image()
    late = register(fixed, moving, dataclasses.replace(SMALL, iterations=(5000, 5000), seconds=0.5))
    assert len(late.trace) < 9000 and late.provenance.seconds < 60
    still = dataclasses.replace(SMALL, iterations=(400, 400), plateau=5, learning_rate=1e-6)
    assert len(register(fixed, moving, still).trace) < 400


def test_the_compiled_comparison_is_that_of_the_reference():
    generator = torch.Generator().manual_seed(0)
    volume = torch.randint(0, 256, (5, 6, 7, 3), dtype=torch.uint8, generator=generator)
    index = torch.rand(500, 3, generator=generator) * 9 - 1.5
    target = torch.randint(0, 256, (500, 3), dtype=torch.uint8, generator=generator)
    weights = torch.tensor([0.5, 1.0, 2.0])
    losses, slopes = compare(volume, index, target, weights)
    wanted, wanted_slopes = compare_reference(volume, index, target, weights)
    assert (wanted > 0).sum() > 100
    assert torch.allclose(losses, wanted, rtol=1e-4, atol=0.5)
    assert torch.allclose(slopes, wanted_slopes, rtol=1e-4, atol=0.5)


def test_the_sample_correlation_has_the_slope_of_its_loss():
    """Moving all points by a small step along the gradient changes 1 - NCC as the gradient says."""
    fixed, moving = (feature_volume(side, "ncc") for side in (image(warp=wave), image()))
    field = new_field(image(), SMALL)
    term = SampleCorrelation(Route(fixed, moving, None, None), field.frame)
    from DiffRegLib.methods.neural.fused import BlockNetwork

    network, bias = BlockNetwork(field.networks[0], field.codes), field.networks[0].last_bias

    def loss(shift: float) -> float:
        bias.data[0] = shift
        return term.learn(network, 4000, torch.Generator().manual_seed(3))

    at, step = 0.013, 1e-3  # 0.4 mm: between voxel centers, at which the slope of a linear interpolation jumps
    loss(at)
    slope = float(bias.grad[0])
    values = [loss(at + sign * step) for sign in (1, -1)]
    assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=0.1)


def test_gradient_inverse_consistency_vanishes_for_inverse_networks():
    """Forward p + d and backward p - d are each other's inverse; a field of slopes against none is not."""
    field = new_field(image(), SMALL)
    term = Regularization(field, "gradicon", 100)
    field.networks[0].last_bias.data.fill_(0.05)
    field.networks[1].last_bias.data.fill_(-0.05)
    assert float(term(torch.Generator().manual_seed(0)).detach()) < 1e-10
    torch.nn.init.normal_(field.networks[0].last_weight, std=0.02, generator=torch.Generator().manual_seed(0))
    assert float(term(torch.Generator().manual_seed(0)).detach()) > 1e-4


def test_an_export_does_not_fold_where_the_field_does():
    field = new_field(image(), SMALL).eval()
    torch.nn.init.normal_(field.networks[0].last_weight, std=0.3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exported = export(field)
    assert exported.folded > 0
    assert least_determinant(exported.forward.image).min() > 0


def test_bad_input_is_refused_before_any_work():
    fixed = image()
    with pytest.raises(RegistrationError, match="different lengths"):
        register(fixed, fixed, dataclasses.replace(SMALL, blurs=(1.0,)))
    with pytest.raises(RegistrationError, match="2 channels"):
        register(Image(fixed.data.repeat(2, 1, 1, 1), fixed.affine), fixed, SMALL)
    with pytest.raises(RegistrationError, match="same everywhere"):
        register(fixed, Image(fixed.data * 0, fixed.affine), SMALL)
    with pytest.raises(RegistrationError, match="single slice"):
        register(fixed, image(flat=True), SMALL)
    far = fixed.affine.clone()
    far[0, 3] += 500
    with pytest.raises(RegistrationError, match="do not overlap"):
        register(fixed, Image(fixed.data, far), SMALL)
    with pytest.raises(RegistrationError, match="NaN"):
        register(fixed, Image(fixed.data / 0 * 0, fixed.affine), SMALL)
    with pytest.raises(RegistrationError, match="mask is empty"):
        register(fixed, fixed, SMALL, masks=(Image(fixed.data * 0, fixed.affine), None))


def test_every_preset_fits_together():
    from DiffRegLib.methods.neural.checks import check_options

    for options in PRESETS.values():
        check_options(options)
    assert tuple(METHOD.presets) == tuple(PRESETS)


def test_a_pair_of_other_spacing_is_compared_on_one_grid():
    thick = image((10, 30, 32), 2.0)
    thick = Image(thick.data, torch.diag(torch.tensor([2.0, 2.0, 5.6, 1.0], dtype=torch.float64)))
    first, second = Pair(thick, image()).routes("mind", 2.0, 2.0)
    assert torch.allclose(first.drawn.geometry.spacing, first.read.geometry.spacing)
    assert second.drawn is first.read
