"""Registration by supervoxels: known motions come back, landmarks pull, nothing folds."""

from __future__ import annotations

import pytest
import torch

from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.densify import densified
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.matching import compressed, neighbor_pairs
from DiffRegLib.methods.supervoxels.model import Model, Prediction
from DiffRegLib.methods.supervoxels.network import SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import PreparationOptions, SegmentationOptions, SupervoxelOptions
from DiffRegLib.methods.supervoxels.pipeline import Side, by_network, by_reference, carry, once_more, register
from DiffRegLib.methods.supervoxels.preparation import Boxed, body, boxed, halved, prepare
from DiffRegLib.methods.supervoxels.reference import align
from DiffRegLib.transforms import Affine, DisplacementField
from DiffRegLib.transforms.folds import least_determinant
from Testing.library.bodies import body_ct

BOX = PreparationOptions(spacing=4.0, box=(64, 48, 80))
FEW = SegmentationOptions(layers=6, classes=40, segments=60, margin=10.0)
FAST = SupervoxelOptions(points=300, iterations=60)


@pytest.fixture(scope="module")
def scan() -> Image:
    return halved(prepare(body_ct(), BOX))


@pytest.fixture(scope="module")
def layers(scan):
    return divide(scan, FEW)


def _bent(points: torch.Tensor) -> torch.Tensor:
    """A smooth motion of up to 14 mm."""
    wave = torch.stack([torch.sin(points[..., (axis + 1) % 3] / 60) for axis in range(3)], -1)
    return points + 8 * wave


def test_one_hot_codes_keep_their_sum_and_separate_neighbors(layers):
    codes = compressed(layers, 40, 8, seed=0).unflatten(0, (len(layers), 8))
    inner = codes[:, :, 4:-4, 4:-4, 4:-4]
    assert torch.allclose(inner.sum(1), torch.ones_like(inner[:, 0]), atol=1e-5)
    assert torch.equal(compressed(layers, 40, 8, seed=0), codes.flatten(0, 1))


def test_neighbors_are_neighbors_both_ways():
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    first, second = neighbor_pairs(points, 4)
    pairs = set(zip(first.tolist(), second.tolist()))
    assert pairs == {(b, a) for a, b in pairs}
    nearest = torch.cdist(points, points).fill_diagonal_(9).argmin(1).tolist()
    assert all((n, other) in pairs for n, other in enumerate(nearest))


def _sides(scan: Image, layers: torch.Tensor, motion) -> tuple[Side, Side]:
    inside = body(scan)
    return (Side(scan, inside, carry(layers, scan, scan, motion), 40), Side(scan, inside, layers, 40))


def test_a_smooth_motion_comes_back(scan, layers):
    found = register(scan, scan, FAST, sides=_sides(scan, layers, _bent))
    points = scan.grid()[body(scan)][::50]
    before, after = ((t - _bent(points)).norm(dim=-1).mean() for t in (points, found.transform(points)))
    assert before > 7 and after < 8 / 3  # a third of a voxel of the supervoxels
    back = found.inverse(found.transform(points)) - points
    assert back.norm(dim=-1).max() < 1
    assert found.support.covers(points.double()).float().mean() > 0.95


@pytest.mark.parametrize("part", [0.25, 0.45])
def test_a_shift_by_a_part_of_a_voxel_is_no_smaller_and_no_larger(scan, layers, part):
    shift = part * float(scan.spacing[0]) * torch.tensor([1.0, -1.0, 1.0])
    found = register(scan, scan, FAST, sides=_sides(scan, layers, lambda points: points + shift)).transform
    points = scan.grid()[body(scan)][::50]
    assert torch.allclose((found(points) - points).mean(0), shift, atol=0.1 * float(scan.spacing[0]))


def test_a_scan_on_itself_keeps_its_supervoxels(scan, layers):
    assert torch.equal(carry(layers, scan, scan, Affine.identity()), layers)


def test_the_same_seed_gives_the_same_transform(scan, layers):
    sides = _sides(scan, layers, _bent)
    first, second = (register(scan, scan, FAST, sides=sides).transform(scan.grid()) for _ in range(2))
    assert torch.equal(first, second)


def test_landmarks_pull(scan, layers):
    inside = body(scan)
    still = (Side(scan, inside, layers, 40), Side(scan, inside, layers, 40))
    fixed = torch.tensor([[0.0, 0.0, 0.0], [30.0, 0.0, 20.0], [-30.0, 20.0, 0.0]])
    pairs = (fixed, fixed + torch.tensor([6.0, 0.0, 0.0]))
    moved = []
    for weight in (0.0, 1.0):
        options = SupervoxelOptions(points=300, iterations=60, landmark_weight=weight)
        transform = register(scan, scan, options, landmarks=pairs, sides=still).transform
        moved.append((transform(fixed) - fixed)[:, 0].mean().item())
    assert abs(moved[0]) < 0.5 and moved[1] > 3


def test_a_reference_is_carried_to_both_sides():
    fixed, moving = body_ct((10.0, 0.0, 0.0)), body_ct((0.0, 40.0, 0.0))
    reference = body_ct((-200.0, 7.0, 3.0))

    def shift(a: Boxed, b: Boxed) -> Affine:
        return Affine.translation(b.scan.center - a.scan.center)

    sides = by_reference((fixed, moving), reference, shift, preparation=BOX, segmentation=FEW)
    found = register(fixed, moving, FAST, sides=sides)
    point = torch.tensor([[10.0, 0.0, 0.0], [50.0, 10.0, 30.0]])
    assert torch.allclose(found.transform(point), point + torch.tensor([-10.0, 40.0, 0.0]), atol=0.5)


def test_what_is_carried_begins_at_the_given_transform():
    """Two scans 200 mm apart, of which each is out of reach from where the other lies."""
    scans, initial = (body_ct(), body_ct((200.0, 0.0, 0.0))), Affine.translation(torch.tensor([200.0, 0.0, 0.0]))
    sides = by_reference(scans, None, align, initial, BOX, FEW)
    assert (sides[0].layers == sides[1].layers)[:, sides[0].body].float().mean() > 0.95
    found = register(*scans, FAST, initial=initial, sides=sides)
    points = sides[0].scan.grid()[sides[0].body]
    assert (found.transform(points) - points - torch.tensor([200.0, 0.0, 0.0])).norm(dim=-1).mean() < 1.0


def test_where_scans_end_is_no_anatomy():
    """The same patient, of whom the second scan begins and ends elsewhere: nothing moves."""
    whole = body_ct(shape=(60, 40, 48))
    parts = [Image(whole.data[:, first : first + 44].contiguous(), whole.affine.clone()) for first in (4, 12)]
    for part, first in zip(parts, (4, 12)):
        part.affine[:3, 3] = whole.to_world(torch.tensor([0.0, 0.0, float(first)]))
    fixed, moving = (boxed(part, BOX) for part in parts)
    found = align(fixed, moving)
    points = fixed.scan.grid()[body(fixed.scan)]
    points = points[parts[0].contains(points) & parts[1].contains(points)]
    assert (found(points) - points).norm(dim=-1).median() < 2.0  # a quarter of a voxel


def test_contradicting_displacements_do_not_fold(scan):
    generator = torch.Generator().manual_seed(0)
    points = scan.grid()[body(scan)][::400]
    wild = 25 * torch.randn(len(points), 3, generator=generator)
    field = densified(points, wild, scan.geometry)
    assert isinstance(field, DisplacementField)
    assert float(least_determinant(field.image).min()) > 0
    finer = field.jacobian_determinant(field.image.geometry.resized(2.5))
    assert float(finer.data.min()) > 0


def test_a_network_that_errs_by_where_a_scan_lies_errs_less_when_it_looks_again(layers, scan, monkeypatch):
    """It sees four fifths of how far a body lies from that of its reference: of 20 mm 4 are left, of those 0.8."""
    middle = scan.to_world(body(scan).nonzero().flip(1).double().mean(0))

    def predict(network, there, inside):
        shift = there.to_world(inside.nonzero().flip(1).double().mean(0)) - middle
        return Prediction(carry(layers, scan, there, Affine.translation(-0.8 * shift)), 1.0)

    monkeypatch.setattr("DiffRegLib.methods.supervoxels.pipeline.predict", predict)
    shift = torch.tensor([20.0, 0.0, 0.0])
    scans, names = (body_ct(), body_ct((20.0, 0.0, 0.0))), ("a", "b")
    model = Model(SupervoxelNetwork(len(layers), 40), BOX)
    sides = by_network(scans, model, None, names, "cpu")
    first = register(*scans, FAST, sides=sides)
    second = once_more(first, scans, sides[0], model, FAST, names)
    points = sides[0].scan.grid()[sides[0].body]
    errors = [(one.transform(points) - points - shift).norm(dim=-1).mean() for one in (first, second)]
    assert errors[0] > 3 and errors[1] < 1.5
    assert (second.inverse(second.transform(points)) - points).norm(dim=-1).max() < 0.5
    assert [row.level for row in second.trace[:: FAST.iterations]] == [0, 1, 2, 3]
