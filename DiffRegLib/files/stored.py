"""The voxels of a file as they are stored, before anyone decides whether they are labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.segments import Segment

SKEW = 1e-3
"""Largest cosine between two axes of a file that still counts as a right angle."""


@dataclass(frozen=True, eq=False)
class Stored:
    """data (C, D, H, W) in the file's own type, the rescaling of its header done; affine (4, 4) float64, RAS mm.

    says: whether the file says that it holds labels, None where it says nothing. segments: their names. intent: code,
    name and first parameter of a NIfTI file, else 0. rescaled: whether slope and intercept changed the numbers.
    fields: what else a NRRD file says. notes: what a person has to be told.
    """

    data: np.ndarray
    affine: Tensor
    says: bool | None = None
    segments: tuple[Segment, ...] = ()
    intent: int = 0
    intent_name: str = ""
    intent_parameter: int = 0
    rescaled: bool = False
    fields: dict[str, str] | None = None
    notes: tuple[str, ...] = ()


def check_axes(affine: np.ndarray, path: str | Path) -> None:
    """Raises `RegistrationError` for an affine (4, 4) that is not finite, is singular, or shears."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or (lengths < 1e-9).any():
        raise RegistrationError(f"{path} has a singular geometry: repair its spacing and directions.")
    axes = affine[:3, :3] / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > SKEW:
        raise RegistrationError(
            f"{path} is sheared, its axes are not at right angles: resample it to a grid with right angles."
        )
