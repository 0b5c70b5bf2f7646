"""A preview of the moving image on the fixed one while a field is optimized, as a file that appears whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch

from DiffRegLib.image import Image
from DiffRegLib.methods.neural.encoder import averaged, seen_grid
from DiffRegLib.methods.neural.field import NeuralField
from DiffRegLib.methods.neural.options import PREVIEW
from DiffRegLib.transforms import Transform

WIDTH, NODES = 96, 24
"""Voxels of the longest side of the preview, and of the grid on which the field is asked for it."""
INTERVAL, SHARE = 1.5, 0.03
"""Seconds between two previews, or more where they would take a larger share of the time."""


class Preview:
    """Called with the field after each step; writes `preview.npz` into a folder now and then."""

    def __init__(self, folder: Path, fixed: Image, moving: Image, initial: Transform | None = None) -> None:
        self._path = folder / PREVIEW
        self._lattice, self._nodes = seen_grid(fixed, WIDTH), seen_grid(fixed, NODES)
        self._moving, self._initial = averaged(moving, 2 * WIDTH), initial
        self._next = 0.0

    def __call__(self, field: NeuralField) -> None:
        """Writes the preview where it is time for one."""
        begin = time.monotonic()
        if begin < self._next:
            return
        with torch.no_grad():
            moved = field.transform().displacement(self._nodes)
            transform = moved if self._initial is None else self._initial @ moved
            seen = self._moving.resample(self._lattice, transform, outside="border")
        partial = self._path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, data=seen.data[0].numpy(), affine=seen.affine.numpy())
        os.replace(partial, self._path)
        took = time.monotonic() - begin
        self._next = begin + max(INTERVAL, took / SHARE)

    def remove(self) -> None:
        """The preview is no part of a result."""
        self._path.unlink(missing_ok=True)
