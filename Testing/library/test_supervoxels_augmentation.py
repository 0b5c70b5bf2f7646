"""What a training makes of a scan: motion that its classes share, faces, shades and contrast."""

from __future__ import annotations

import pytest
import torch

from DiffRegLib.methods.supervoxels.augmentation import TISSUES, appearance, augmented, ended, toned
from DiffRegLib.methods.supervoxels.options import TrainingOptions


def test_scan_and_classes_move_together():
    layers = torch.arange(20)[None, :, None, None].expand(1, 20, 12, 16).to(torch.uint8)
    scan = layers.float() * 50  # whose value is the class times 50
    still = TrainingOptions(affine=0.05, warp=8.0, noise=0.0)
    moved, classes = augmented(scan, layers, 16.0, still, torch.Generator().manual_seed(1))
    means = torch.nn.functional.avg_pool3d(moved[None], 2)[0] / 50
    assert (means[:, 2:-2, 2:-2, 2:-2] - classes[:, 2:-2, 2:-2, 2:-2]).abs().mean() < 0.5


def test_a_scan_ends_at_random_faces_and_goes_on_as_they_are():
    """Every voxel is that of the nearest one between the faces, which are those of the outermost that stay in place."""
    numbers = torch.arange(24.0)
    scan = torch.stack(torch.meshgrid(numbers, numbers, numbers, indexing="ij"))
    for seed in range(5):
        draws = (torch.Generator().manual_seed(seed) for _ in scan)
        options = TrainingOptions(faces=30.0)
        found = torch.stack([ended(one[None], 5.0, options, draw)[0] for one, draw in zip(scan, draws)])
        assert 0 <= found.min() <= 6 < 17 <= found.max() <= 23
        for place, was in zip(found, scan):
            assert torch.equal(place, was.clamp(place.min(), place.max()))
    assert torch.equal(ended(scan[:1], 5.0, TrainingOptions(faces=0.0), torch.Generator()), scan[:1])


def test_shades_change_tissue_by_as_much_as_was_asked_and_leave_air():
    tissue = torch.zeros(1, 40, 40, 40)
    tissue[:, :20] = -1000.0
    options = TrainingOptions(shade=50.0, noise=0.0, warp_scale=16.0)
    shaded = appearance(tissue, 16.0, options, torch.Generator().manual_seed(2))  # a random number for every voxel
    assert torch.equal(shaded[:, :20], tissue[:, :20])
    assert float(shaded[:, 20:].mean()) == pytest.approx(0.0, abs=1.5) and float(shaded[:, 20:].std()) == pytest.approx(
        50.0, rel=0.02
    )


def test_contrast_changes_tissue_by_its_density_and_leaves_air_and_bone():
    values = torch.tensor([-1000.0, -150, -100, 0, 25, 50, 450, 1200]).view(1, 1, 2, 4)
    shifts = torch.zeros(len(TISSUES))
    shifts[TISSUES.index(50)], shifts[TISSUES.index(0)], shifts[TISSUES.index(-100)] = 80.0, -20.0, 7.0
    wanted = torch.tensor([-1000.0, -150, -93, -20, 25 + 30, 130, 450, 1200]).view(1, 1, 2, 4)
    assert torch.allclose(toned(values, shifts), wanted, atol=1e-4)
    tissue = torch.arange(-100.0, 401.0, 50).expand(1, 1, 1, -1)
    draws = [torch.Generator().manual_seed(seed) for seed in range(400)]
    changed = torch.cat([appearance(tissue, 1.0, TrainingOptions(contrast=40.0, noise=0.0), draw) for draw in draws])
    assert float((changed - tissue).std()) == pytest.approx(40.0, rel=0.06)
