"""The neural field where its option says: a GPU, the processor, plain torch."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.neural import register
from Testing.library.test_neural import SMALL, image, wave


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
def test_a_gpu_finds_what_the_processor_finds():
    fixed, moving = image(warp=wave), image()
    results = [register(fixed, moving, dataclasses.replace(SMALL, device=name)) for name in ("cpu", "cuda")]
    points = fixed.grid().reshape(-1, 3)
    first, second = (result.transform(points) for result in results)
    assert (first - second).norm(dim=1).mean() < 0.2  # other roundings, the same points
    assert results[1].provenance.device == torch.cuda.get_device_name()


def test_a_gpu_that_is_not_there_is_told_before_any_work():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RegistrationError, match="finds no GPU"):
        register(image(), image(), dataclasses.replace(SMALL, device="cuda"))


def test_plain_torch_finds_what_the_compiled_kernels_find(monkeypatch):
    """What runs on a GPU, and where numba is missing."""
    fixed, moving = image(warp=wave), image()
    options = dataclasses.replace(SMALL, iterations=(15, 5))
    compiled = register(fixed, moving, options)
    for module in ("loss", "fused"):
        monkeypatch.setattr(f"DiffRegLib.methods.neural.{module}.available", lambda backend: False)
    plain = register(fixed, moving, options)
    points = fixed.grid().reshape(-1, 3)
    moved = (compiled.transform(points) - points).norm(dim=1).mean()
    apart = (compiled.transform(points) - plain.transform(points)).norm(dim=1).mean()
    assert moved > 0.5 and apart < 0.05 * moved  # of roundings, which twenty steps let grow
