"""Image-driven registration of small images whose motion is known."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from DiffRegLib.dense.landmarks import Landmarks
from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.dense import DenseOptions, register
from DiffRegLib.ops.axes import filter_axes, gaussian
from DiffRegLib.transforms import Affine, DisplacementField, rigid
from DiffRegLib.transforms.folds import least_determinant

QUICK = DenseOptions(coarsest=4, affine=False)
CENTER = torch.tensor([20.0, -30.0, 50.0])


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Small images."""


def geometry(n: int = 40, spacing: float = 2.0) -> Geometry:
    affine = torch.eye(4, dtype=torch.float64) * spacing
    affine[3, 3] = 1
    affine[:3, 3] = CENTER.double() - (n - 1) / 2 * spacing
    return Geometry((n, n, n), affine)


def pattern(grid: Geometry, seed: int = 0) -> Image:
    """A smooth random texture inside a ball, dark outside."""
    noise = torch.randn(grid.shape, generator=torch.Generator().manual_seed(seed))
    texture = filter_axes(noise, [gaussian(n, 2.0, noise) for n in grid.shape])
    radius = (grid.grid() - CENTER).norm(dim=-1) / (grid.spacing * grid.size).min() * 2
    inside = torch.sigmoid((0.85 - radius) / 0.05)
    return Image(((2 + texture / texture.std()) * inside * 100)[None].float(), grid.affine)


def wave(points: Tensor, height: float = 3.0) -> Tensor:
    """A smooth motion of up to `height` mm along each axis; its slope is below 0.4 at 3 mm."""
    x, y, z = (points - CENTER.to(points)).unbind(-1)
    k = 2 * math.pi / 60
    return points + height * torch.stack((torch.sin(k * z), torch.cos(k * x), torch.sin(k * y + 0.5)), -1)


def carried(image: Image, motion) -> Image:
    """The image that the motion brings onto `image`: fixed(x) = moving(motion(x))."""
    return image.resample(image, motion)


def error(transform, grid: Geometry, truth, reach: float = 0.7) -> Tensor:
    points = grid.grid().reshape(-1, 3)
    points = points[(points - CENTER).norm(dim=1) < reach * float(grid.spacing[0]) * grid.shape[0] / 2]
    return (transform(points) - truth(points)).norm(dim=1)


def test_an_image_stays_on_itself():
    image = pattern(geometry())
    result = register(image, image, DenseOptions(coarsest=4))
    assert error(result.transform, image.geometry, lambda x: x, 1.0).max() < 0.02


def test_a_known_motion_is_recovered_and_its_inverse_leads_back():
    moving = pattern(geometry())
    fixed = carried(moving, wave)
    result = register(fixed, moving, QUICK)
    before = error(lambda x: x, fixed.geometry, wave).mean()
    assert before > 3
    assert error(result.transform, fixed.geometry, wave).mean() < 0.1 * before
    assert error(lambda x: result.inverse(result.transform(x)), fixed.geometry, lambda x: x).max() < 0.2
    assert result.inverse_residual_mm < 0.1
    assert result.metrics["similarity"] == "lncc"


def test_slices_of_another_thickness_and_direction_are_one_space():
    moving = pattern(geometry(48))
    coarse = geometry().resized(2.0)
    affine = coarse.affine.clone()
    affine[:3, 2] *= 2
    slices = Geometry((20, 40, 40), affine)
    turned = torch.eye(4, dtype=torch.float64)
    turned[:3, :3] = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    flipped = Geometry(slices.shape, slices.affine @ turned)
    shift = flipped.affine.clone()
    shift[:3, 3] += slices.center - flipped.center
    fixed = moving.resample(Geometry(slices.shape, shift), wave)
    result = register(fixed, moving, QUICK)
    assert error(result.transform, slices, wave, 0.5).mean() < 0.8


@pytest.mark.parametrize(
    "directions",
    [
        [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        [[0, 0, 1], [-1, 0, 0], [0, 1, 0]],
        [[0, -1, 0], [1, 0, 0], [0, 0, -1]],
    ],
)
def test_in_which_order_and_direction_a_file_lists_its_voxels_does_not_matter(directions):
    """As LPS lists them where the other is RAS, sagittal slices, and mirrored ones: the same voxels in their places."""
    grid, columns = geometry(32), torch.tensor(directions, dtype=torch.float64)
    moving = pattern(grid)
    fixed = carried(moving, wave)
    other = moving.along(columns)
    assert other is not moving and other.sample(grid.grid(), "nearest").equal(moving.data)
    expected = register(fixed, moving, QUICK).transform
    for pair in ((fixed, other), (fixed.along(columns), moving)):
        found = register(*pair, QUICK).transform
        points = grid.grid().reshape(-1, 3)
        assert (found(points) - expected(points)).norm(dim=1).max() < 0.1


def test_an_affine_is_found_before_the_deformation():
    moving = pattern(geometry())
    turn = rigid(torch.tensor([6.0, -4.0, 5.0]), torch.tensor([4.0, -3.0, 2.0]), CENTER)
    fixed = carried(moving, turn)
    result = register(fixed, moving, DenseOptions(coarsest=4))
    assert error(result.transform, fixed.geometry, turn).mean() < 0.3


def test_inverted_contrast_is_left_to_self_similarity():
    moving = pattern(geometry())
    fixed = carried(moving, wave)
    inverted = Image(300 - fixed.data.clamp(min=0).sqrt() * 20, fixed.affine)
    result = register(inverted, moving, QUICK)
    assert result.metrics["similarity"] == "mind"
    assert error(result.transform, fixed.geometry, wave).mean() < 0.7


def test_what_the_masks_exclude_has_no_influence():
    moving = pattern(geometry())
    fixed = carried(moving, wave)
    mask = Image((fixed.grid()[..., 0] < CENTER[0] + 10).float()[None], fixed.affine)
    spoiled = Image(torch.where(mask.data > 0, fixed.data, 500 * torch.rand(fixed.data.shape)), fixed.affine)
    results = [register(f, moving, QUICK, masks=(mask, None)).transform for f in (fixed, spoiled)]
    grid = fixed.grid().reshape(-1, 3)
    grid = grid[grid[:, 0] < CENTER[0]]
    assert (results[0](grid) - results[1](grid)).norm(dim=1).max() < 1e-3
    grid = grid[(grid - CENTER).norm(dim=1) < 30]
    assert (results[1](grid) - wave(grid)).norm(dim=1).mean() < 0.5


def test_landmarks_of_several_weights_are_the_sum_of_those_of_each():
    """Energies and normal equations are sums over landmarks, and proportional to their weights."""
    generator = torch.Generator().manual_seed(0)
    ends = [CENTER + 20 * torch.rand(5, 3, generator=generator) for _ in range(2)]
    weights = torch.tensor([0.01, 0.01, 2.0, 2.0, 2.0])
    energy, normal = Landmarks(*ends, weights).pull(wave, geometry())
    parts = [
        Landmarks(*(e[s] for e in ends), w).pull(wave, geometry()) for s, w in ((slice(2), 0.01), (slice(2, 5), 2.0))
    ]
    assert energy == pytest.approx(sum(part[0] for part in parts), rel=1e-5)
    assert torch.allclose(normal.vector, sum(part[1].vector for part in parts), rtol=1e-4, atol=1e-3)


def test_landmarks_pull_where_the_images_show_nothing():
    moving = pattern(geometry())
    fixed = Image(moving.data.clone(), moving.affine)
    at = CENTER + torch.tensor([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    pairs = at.double(), (at + torch.tensor([0.0, 3.0, 0.0])).double()
    followed = dataclasses.replace(QUICK, landmark_weight=1.0)
    left = [register(fixed, moving, o, landmarks=pairs).transform(pairs[0]) - pairs[1] for o in (QUICK, followed)]
    assert left[0].norm(dim=1).min() > 2.5
    assert left[1].norm(dim=1).max() < 1.0


def test_a_start_of_any_kind_is_kept_or_improved():
    moving = pattern(geometry())
    far = Affine.translation(torch.tensor([60.0, 0.0, 0.0]))
    fixed = carried(moving, wave)
    apart = Image(fixed.data, far.inverse().matrix @ fixed.affine)
    by_affine = register(apart, moving, QUICK, initial=far)
    field = (Affine.identity() @ far).displacement(apart.geometry)
    by_field = register(apart, moving, QUICK, initial=DisplacementField(field.image))
    for result in (by_affine, by_field):
        moved = lambda x, t=result.transform: t(far.inverse()(x))  # noqa: E731
        assert error(moved, fixed.geometry, wave).mean() < 0.5


def test_nothing_folds_where_the_images_ask_for_it():
    first, second = pattern(geometry(24)), pattern(geometry(24), seed=1)
    loose = dataclasses.replace(QUICK, stiffness=1e-4, control_spacing=2.0)
    result = register(first, second, loose)
    field = result.transform.image
    assert (result.transform(first.grid()) - first.grid()).norm(dim=-1).max() > 2
    assert least_determinant(field).min() > 0
    assert result.transform.jacobian_determinant(first.geometry.resized(0.9)).data.min() > 0
    assert result.inverse.jacobian_determinant(second.geometry).data.min() > 0


def test_progress_ends_at_one_and_the_trace_tells_every_stage():
    image = pattern(geometry(24))
    seen = []
    result = register(
        image, pattern(geometry(24), 1), DenseOptions(coarsest=4), progress=lambda f, m, **d: seen.append(f)
    )
    assert seen == sorted(seen) and seen[-1] == pytest.approx(1)
    assert list(dict.fromkeys(row.stage.split(",")[0] for row in result.trace)) == ["affine", "deformation", "details"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda i: Image(torch.full_like(i.data, 3.0), i.affine), "one value everywhere"),
        (lambda i: Image(torch.cat((i.data, i.data)), i.affine), "2 channels"),
        (lambda i: Image(i.data[:, :4], i.affine), "at least 8"),
        (lambda i: Image(i.data, Affine.translation(torch.tensor([900.0, 0, 0])).matrix @ i.affine), "do not overlap"),
        (lambda i: Image(torch.where(i.data > 300, float("nan"), i.data), i.affine), "NaN"),
    ],
)
def test_what_cannot_be_registered_is_refused_with_a_remedy(spoil, words):
    image = pattern(geometry(24))
    with pytest.raises(RegistrationError, match=words):
        register(spoil(image), image, QUICK)
    with pytest.raises(RegistrationError, match=words):
        register(image, spoil(image), QUICK)
