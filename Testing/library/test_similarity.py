"""Similarities of two images: invariances, masks, borders and gradients."""

import numpy as np
import pytest
import torch

from DiffRegLib.similarity import LocalNormalization, gradient_ncc, ncc, negative_mse, patch_ncc
from DiffRegLib.similarity.correlation import sobel


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("measure", [ncc, gradient_ncc])
def test_brightness_and_contrast_do_not_matter(measure):
    image = noise(20, 24)
    assert measure(image, 7 + 3 * image).item() == pytest.approx(1, abs=1e-9)
    assert measure(image, 7 - 3 * image).item() == pytest.approx(-1, abs=1e-9)


def test_ncc_is_the_correlation_coefficient():
    first, second = noise(3, 9, 11), noise(3, 9, 11, seed=1)
    expected = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(first.numpy(), second.numpy())]
    torch.testing.assert_close(ncc(first, second), torch.tensor(expected), atol=1e-9, rtol=0)


@pytest.mark.parametrize("measure", [ncc, gradient_ncc, patch_ncc])
def test_a_constant_image_correlates_with_nothing(measure):
    score = measure(torch.full((12, 12), 5.0), noise(12, 12, dtype=torch.float32))
    assert abs(score.item()) < 1e-3


@pytest.mark.parametrize("measure", [ncc, gradient_ncc, patch_ncc, negative_mse])
def test_what_lies_outside_the_mask_has_no_influence(measure):
    first, second = noise(24, 24), noise(24, 24, seed=1)
    mask = torch.zeros(24, 24, dtype=torch.bool)
    mask[4:20, 6:21] = True
    changed = torch.where(mask, second, 100 * noise(24, 24, seed=2))
    torch.testing.assert_close(measure(first, changed, mask), measure(first, second, mask))


def test_the_border_is_no_edge():
    """A zero-padded Sobel filter would see the frame of both images and call them alike."""
    first, second = noise(64, 64) * 0.01 + 5, noise(64, 64, seed=1) * 0.01 + 5
    assert abs(gradient_ncc(first, second).item()) < 0.1
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[10:50, 10:50] = True
    assert abs(gradient_ncc(first * mask, second * mask, mask).item()) < 0.1


def test_sobel_of_a_plane_is_its_slope():
    row, column = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    across, down = sobel(2 * row - 3 * column + 1)
    torch.testing.assert_close(across, torch.full((4, 5), -3.0))
    torch.testing.assert_close(down, torch.full((4, 5), 2.0))


def test_patch_ncc_is_the_mean_of_the_correlations_of_all_patches():
    first, second = noise(9, 8), noise(9, 8, seed=1)
    expected = [
        np.corrcoef(first[r : r + 5, c : c + 5].flatten(), second[r : r + 5, c : c + 5].flatten())[0, 1]
        for r in range(5)
        for c in range(4)
    ]
    assert patch_ncc(first, second, sizes=(5,), floor=0.0).item() == pytest.approx(np.mean(expected), abs=1e-6)


def test_patch_ncc_forgives_a_contrast_that_changes_over_the_image():
    image = noise(40, 40)
    gain = torch.linspace(0.5, 3, 40, dtype=torch.float64)
    assert patch_ncc(image, gain * image, sizes=(5,)).item() > 0.99 > ncc(image, gain * image + 4 * gain).item()


def test_mse_of_a_known_difference():
    assert negative_mse(torch.zeros(4, 4), torch.full((4, 4), 3.0)).item() == -9


@pytest.mark.parametrize("measure", [ncc, gradient_ncc, patch_ncc, negative_mse])
def test_gradients(measure):
    first, second = noise(2, 8, 9).requires_grad_(), noise(2, 8, 9, seed=1)
    mask = torch.ones(8, 9, dtype=torch.bool)
    mask[:2] = False
    assert torch.autograd.gradcheck(lambda x: measure(x, second, mask), first, fast_mode=True)


def test_local_normalization_removes_brightness_and_contrast():
    normalize = LocalNormalization(torch.ones(16, 16), 3.0, 0.2)
    image = noise(1, 16, 16, dtype=torch.float32)
    torch.testing.assert_close(normalize(image), normalize(5 * image - 2), atol=1e-4, rtol=1e-4)
