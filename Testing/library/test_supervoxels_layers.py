"""Preparation of scans and the supervoxels of a reference: exact counts, connected classes, places that map back."""

from __future__ import annotations

import cc3d
import numpy as np
import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.layers import divide, exactly
from DiffRegLib.methods.supervoxels.model import Model, Prediction
from DiffRegLib.methods.supervoxels.network import SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import PreparationOptions, SegmentationOptions
from DiffRegLib.methods.supervoxels.pipeline import by_network
from DiffRegLib.methods.supervoxels.preparation import AIR, Boxed, body, halved, prepare, soft_tissue
from DiffRegLib.transforms import Affine
from Testing.library.bodies import body_ct

BOX = PreparationOptions(spacing=4.0, box=(64, 48, 80))
FEW = SegmentationOptions(layers=3, classes=24, segments=40, margin=10.0)


def test_soft_tissue_weight_is_that_of_the_formula():
    for density, weight in ((125.0, 1 / (1 + np.exp(-10))), (0.0, 0.5), (250.0, 0.5), (-1000.0, 0.0)):
        assert soft_tissue(torch.full((3, 3, 3), density))[1, 1, 1].item() == pytest.approx(weight, abs=1e-6)


def test_one_dark_neighbor_takes_the_weight_away():
    scan = torch.full((5, 5, 5), 125.0)
    scan[0, 0, 0] = -1000
    weight = soft_tissue(scan)
    assert weight[1, 1, 1] < 1e-6 and weight[2, 2, 2] > 0.99


def test_the_box_follows_the_patient():
    here, there = prepare(body_ct(), BOX), prepare(body_ct((120.0, -300.0, 45.0)), BOX)
    assert here.shape == there.shape == (80, 48, 64)
    shift = (there.affine - here.affine)[:3, 3]
    assert torch.allclose(shift, torch.tensor([120.0, -300.0, 45.0]).double(), atol=0.05)
    assert torch.allclose(here.data, there.data, atol=15)  # the grids lie a part of a voxel apart


def test_the_order_of_a_files_axes_does_not_matter():
    turned = torch.tensor([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).double()
    plain, other = prepare(body_ct(), BOX), prepare(body_ct(shape=(56, 56, 56), turn=turned), BOX)
    assert torch.allclose(plain.affine, other.affine, atol=0.5)
    assert (plain.data - other.data).abs().mean() < 5


def test_halved_voxels_are_means_of_eight_in_their_middle():
    scan = prepare(body_ct(), BOX)
    half = halved(scan)
    assert half.data[0, 3, 4, 5].item() == pytest.approx(scan.data[0, 6:8, 8:10, 10:12].mean().item(), abs=1e-3)
    assert torch.allclose(half.to_world(torch.tensor([5.0, 4.0, 3.0])), scan.to_world(torch.tensor([10.5, 8.5, 6.5])))


def test_a_network_sees_a_scan_go_on_where_it_ends():
    """Of a scan whose values are its heights: those in the box, and beyond its faces those of its faces."""
    box = body_ct(spacing=8.0, shape=(30, 20, 24))
    image = Image(torch.zeros(1, 12, 20, 24), box.affine)
    image = Image(image.grid()[None, ..., 2] + 3.0, image.affine)
    moved = Affine.translation(torch.tensor([0.0, 0.0, 3.0]))
    height = box.grid()[None, ..., 2] + 6.0
    seen = Boxed(box, image, moved).continued()
    assert torch.allclose(seen.data, height.clamp(float(image.data.min()), float(image.data.max())), atol=1e-3)
    assert image.data.max() < height.max() - 100


def test_a_prediction_goes_on_beyond_the_scan_and_its_body_does_not(monkeypatch):
    whole, seen = body_ct(spacing=4.0, shape=(80, 60, 72)), []

    def predicted(network, scan, inside):
        seen.append(scan)
        return Prediction(torch.zeros(2, *scan.shape, dtype=torch.uint8), 1.0)

    monkeypatch.setattr("DiffRegLib.methods.supervoxels.pipeline.predict", predicted)
    short = Image(whole.data[:, :50], whole.affine)
    side = by_network((short, whole), Model(SupervoxelNetwork(2, 8), BOX), None, ("a", "b"), "cpu")[0]
    assert float(seen[0].data[0, -1].max()) > 0
    assert (side.scan.data[0, -1] == AIR).all() and not side.body[-1].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda d: d + 1024, "subtract 1024"), (lambda d: d * 0 - 1000, "it is constant"), (lambda d: d / 10, "not a CT")],
)
def test_what_is_no_ct_is_told(change, words):
    scan = body_ct()
    with pytest.raises(RegistrationError, match=words):
        prepare(Image(change(scan.data), scan.affine), BOX, "scan.nii.gz")


def test_a_scan_without_a_body_is_told():
    """Bone and a little soft tissue make a CT, but no body: ten small stones in air."""
    scan = body_ct()
    stones = torch.full_like(scan.data, -1000.0)
    stones[0, 5::10, 20, 5::10] = 400.0
    with pytest.raises(RegistrationError, match="stones.nii.gz shows less than 100 ml of soft tissue"):
        prepare(Image(stones, scan.affine), BOX, "stones.nii.gz")
    with pytest.raises(RegistrationError, match="stones.nii.gz shows no body"):
        body(Image(stones, scan.affine), "stones.nii.gz")


@pytest.mark.parametrize("seed", [0, 1])
def test_every_layer_has_exactly_its_classes_each_in_one_piece(seed):
    scan = halved(prepare(body_ct(), BOX))
    layers = divide(scan, FEW, seed)
    for layer in layers.numpy():
        assert np.array_equal(np.unique(layer), np.arange(24))
        pieces = cc3d.connected_components(layer.astype(np.int32), connectivity=6)
        assert pieces.max() == 23  # as many as there are classes besides the background
    assert (layers[:, body(scan)] > 0).all()
    assert not torch.equal(layers[0], layers[1])


def test_the_same_seed_gives_the_same_layers():
    scan = halved(prepare(body_ct(), BOX))
    assert torch.equal(divide(scan, FEW, 3), divide(scan, FEW, 3))


def test_too_few_regions_are_cut_and_too_many_merged():
    one = np.ones((6, 6, 6), int)
    assert np.array_equal(np.unique(exactly(one, 7)), np.arange(1, 8))
    many = np.arange(1, 217).reshape(6, 6, 6)
    merged = exactly(many, 5)
    assert np.array_equal(np.unique(merged), np.arange(1, 6))
    assert cc3d.connected_components(merged.astype(np.int32), connectivity=6).max() == 5


def test_the_smallest_region_joins_its_smallest_neighbor():
    line = np.repeat([1, 2, 3, 4], [4, 1, 2, 9])[None, None]
    assert np.array_equal(exactly(line, 3)[0, 0], np.repeat([1, 2, 3], [4, 3, 9]))


def test_a_scan_without_room_for_the_classes_is_told():
    coarse = halved(prepare(body_ct(), PreparationOptions(spacing=8.0, box=(32, 24, 40))))
    with pytest.raises(RegistrationError, match="too small"):
        divide(coarse, SegmentationOptions(classes=200, segments=300, margin=0.0, layers=1))
    with pytest.raises(RegistrationError, match="no room"):
        exactly(np.ones((1, 1, 3), int), 4)
