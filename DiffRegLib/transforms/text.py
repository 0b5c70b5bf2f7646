"""A rigid pose as text: what a person pastes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import RIGID, rigid_error
from DiffRegLib.transforms.base import Composite, Transform
from DiffRegLib.transforms.io import read_itk_transform
from DiffRegLib.transforms.linear import Affine, rigid

SEPARATORS = re.compile(r"[\s,;|\[\](){}]+")
LOOSE = 2e-3  # `rigid_error` up to which a rotation that was rounded is replaced by the nearest one
BOTTOM = 1e-6  # how far the last row may be from 0 0 0 1


def parse_pose(text: str, center: Tensor | Sequence[float]) -> Affine:
    """The rigid transform, RAS mm, that a text holds.

    Six numbers are rx ry rz in degrees and tx ty tz in mm about `center` (3,), RAS mm: x -> c + R (x - c) + t with R of
    `rotation_matrix`. Twelve or sixteen are the rows of a 3x4 or 4x4 matrix. Spaces, commas, semicolons, brackets and
    line ends separate them, so that lists of JSON or numpy are read as well. Also the text of an ITK transform file
    (.tfm) with linear transforms, which is LPS. A rotation that was rounded to three decimals or more is accepted; one
    off by more than 1e-4 is replaced by the nearest rotation.

    Raises RegistrationError for other counts, words, numbers that are not finite, and matrices that are not rigid.
    """
    if "Transform:" in text:
        return _checked(_itk_matrix(text))
    numbers = [_number(word) for word in SEPARATORS.split(text.replace("\u2212", "-")) if word]
    values = torch.tensor(numbers, dtype=torch.float64)
    if not values.isfinite().all():
        raise RegistrationError("The pose has numbers that are not finite: paste one of finite numbers.")
    if len(values) == 6:
        return rigid(values[:3], values[3:], torch.as_tensor(center, dtype=torch.float64))
    if len(values) not in (12, 16):
        raise RegistrationError(
            f"The pose has {len(values)} numbers: paste six (degrees and mm), or the rows of a 3 x 4 or 4 x 4 matrix."
        )
    rows = values.reshape(-1, 4)
    return _checked(rows if len(rows) == 4 else torch.cat([rows, torch.eye(4, dtype=torch.float64)[3:]]))


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise RegistrationError(
            f"The pose has {word[:20]!r} in it: paste numbers, or the text of a .tfm file."
        ) from None


def _itk_matrix(text: str) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pasted.tfm"
        path.write_text(text.strip() + "\n", encoding="utf-8")
        try:
            transform = read_itk_transform(path)
        except RegistrationError:
            raise RegistrationError(
                "The text looks like an ITK transform and cannot be read as one: paste the whole file."
            ) from None
    matrix = torch.eye(4, dtype=torch.float64)
    for part in _parts(transform):
        if not isinstance(part, Affine):
            raise RegistrationError("The ITK transform bends space: paste a rigid one.")
        matrix = matrix @ part.matrix
    return matrix


def _parts(transform: Transform) -> Sequence[Transform]:
    return transform.transforms if isinstance(transform, Composite) else (transform,)


def _checked(matrix: Tensor) -> Affine:
    """The matrix as a rigid transform, its rotation corrected where digits were rounded off."""
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    if not (matrix[3] - bottom).abs().max() <= BOTTOM:
        raise RegistrationError("The last row of the pose is not 0 0 0 1: paste the matrix row by row.")
    off = rigid_error(matrix)
    if off > LOOSE:
        raise RegistrationError(
            "The pose is not rigid, it stretches, shears or mirrors: paste one of rotation and translation."
        )
    if off <= RIGID:
        return Affine(matrix)
    left, _, right = torch.linalg.svd(matrix[:3, :3])
    corrected = matrix.clone()
    corrected[:3, :3] = left @ right
    return Affine(corrected)
