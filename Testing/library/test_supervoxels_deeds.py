"""Transforms in the files of deeds: written here in that format, from a map that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.methods.supervoxels.deeds import read_deeds
from DiffRegLib.methods.supervoxels.training_run import _check_stems


def _grid(spacing: float, origin: tuple[float, float, float]) -> Geometry:
    affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor(origin)
    return Geometry((16, 12, 20), affine)


FIXED, MOVING = _grid(2.0, (10.0, -20.0, 5.0)), _grid(2.5, (-3.0, 4.0, 8.0))
MATRIX = np.array([[1.1, 0.05, 0, 2], [0, 0.9, 0.1, -1], [-0.02, 0, 1, 0.5], [0, 0, 0, 1]])
MOVE = np.array([1.5, -2.0, 0.75])  # voxels along i, j, k


def _write(folder, cut: int = 0) -> str:
    """`a_matrix.txt` transposed; `a_displacements.dat`: along j, then i, then k, every fourth voxel."""
    np.savetxt(folder / "a_matrix.txt", MATRIX.T)
    volumes = np.stack([np.full((4, 3, 5), MOVE[axis], "<f4") for axis in (1, 0, 2)])
    content = volumes.tobytes()
    (folder / "a_displacements.dat").write_bytes(content[: len(content) - cut])
    return str(folder / "a")


def test_points_go_where_matrix_and_displacement_say(tmp_path):
    transform = read_deeds(_write(tmp_path), FIXED, MOVING)
    voxels = torch.tensor([[3.0, 4.0, 5.0], [10.0, 2.0, 11.0]]).double()
    wanted = voxels @ torch.from_numpy(MATRIX[:3, :3]).T + torch.from_numpy(MATRIX[:3, 3] + MOVE)
    found = MOVING.to_voxel(transform(FIXED.to_world(voxels)))
    assert torch.allclose(found, wanted, atol=1e-4)


def test_a_ramp_of_displacements_lies_where_the_blocks_are(tmp_path):
    prefix = _write(tmp_path)
    np.savetxt(tmp_path / "a_matrix.txt", np.eye(4))
    volumes = np.zeros((3, 4, 3, 5), "<f4")
    volumes[1] = 0.1 * (4 * np.arange(5) + 1.5)  # along i, a tenth of the voxel's number at the middle of each block
    (tmp_path / "a_displacements.dat").write_bytes(volumes.tobytes())
    transform = read_deeds(prefix, FIXED, MOVING)
    for i in (2.0, 7.3, 15.0):
        moved = MOVING.to_voxel(transform(FIXED.to_world(torch.tensor([[i, 5.0, 8.0]]).double())))
        assert torch.allclose(moved, torch.tensor([[1.1 * i, 5.0, 8.0]]).double(), atol=1e-3)


def test_a_file_that_is_cut_off_is_told(tmp_path):
    with pytest.raises(RegistrationError, match="cut off"):
        read_deeds(_write(tmp_path, cut=8), FIXED, MOVING)


def test_a_missing_file_and_a_broken_matrix_are_told(tmp_path):
    with pytest.raises(RegistrationError, match="does not exist"):
        read_deeds(str(tmp_path / "b"), FIXED, MOVING)
    prefix = _write(tmp_path)
    (tmp_path / "a_matrix.txt").write_text("1 2 3")
    with pytest.raises(RegistrationError, match="no 4 x 4 matrix"):
        read_deeds(prefix, FIXED, MOVING)


def test_displacements_that_leave_the_scan_are_told(tmp_path):
    prefix = _write(tmp_path)
    numbers = np.fromfile(f"{prefix}_displacements.dat", "<f4")
    (numbers + 100 * max(FIXED.shape)).astype("<f4").tofile(f"{prefix}_displacements.dat")
    with pytest.raises(RegistrationError, match="more than its scan is wide"):
        read_deeds(prefix, FIXED, MOVING)


def test_two_scans_do_not_take_the_files_of_one():
    _check_stems(["a/one.1.nii.gz", "a/other.nii.gz"])
    with pytest.raises(RegistrationError, match="one.1.nii.gz has the name of another scan"):
        _check_stems(["a/one.1.nii.gz", "b/one.2.nii.gz"])
