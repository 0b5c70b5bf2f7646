"""Sub-voxel center lines of bright tubes from first and second derivatives."""

from __future__ import annotations

import torch
from torch import Tensor


def eigenvalues(h: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) each, ascending: eigenvalues of symmetric matrices given by xx, yy, zz, xy, xz, yz (N,).

    Closed form of Smith, Eigenvalues of a symmetric 3x3 matrix, CACM 1961.
    """
    mean = (h["xx"] + h["yy"] + h["zz"]) / 3
    a, b, c = h["xx"] - mean, h["yy"] - mean, h["zz"] - mean
    off = h["xy"] ** 2 + h["xz"] ** 2 + h["yz"] ** 2
    spread = ((a * a + b * b + c * c + 2 * off) / 6).sqrt().clamp(min=1e-12)
    determinant = a * (b * c - h["yz"] ** 2) - h["xy"] * (h["xy"] * c - h["yz"] * h["xz"])
    determinant = determinant + h["xz"] * (h["xy"] * h["yz"] - b * h["xz"])
    angle = (determinant / (2 * spread**3)).clamp(-1, 1).arccos() / 3
    largest = mean + 2 * spread * angle.cos()
    smallest = mean + 2 * spread * (angle + 2 * torch.pi / 3).cos()
    return smallest, 3 * mean - largest - smallest, largest


def tubeness(h: dict[str, Tensor], sigma: float) -> Tensor:
    """(N,) >= 0, HU: how much brighter than its surroundings a tube is in both directions across it.

    The scale-normalized middle eigenvalue, the weaker of the two curvatures across the tube, so that plates (fissures,
    walls) give nothing and branchings do not break (after Sato et al., Three-dimensional multi-scale line filter,
    Medical Image Analysis 1998).
    """
    _, middle, _ = eigenvalues(h)
    return (-middle * sigma**2).clamp(min=0)


def center_line(d: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Newton step (N, 3) in mm along (x, y, z) from a voxel to the center line beside it, and the slope along the line.

    The step solves H t = -g in the plane of the two most negative eigenvectors (Steger, An unbiased detector of
    curvilinear structures, PAMI 1998, in 3D). The slope (N,) >= 0 in HU/mm is that of the image in the third direction.
    """
    low, middle, _ = eigenvalues(d)
    hessian = torch.stack(
        [d["xx"], d["xy"], d["xz"], d["xy"], d["yy"], d["yz"], d["xz"], d["yz"], d["zz"]], dim=-1
    ).reshape(-1, 3, 3)
    eye = torch.eye(3, dtype=hessian.dtype)
    across = (hessian - low[:, None, None] * eye) @ (hessian - middle[:, None, None] * eye)
    column = across.norm(dim=1).argmax(dim=1)
    line = across[torch.arange(len(column)), :, column]
    line = line / line.norm(dim=1, keepdim=True).clamp(min=1e-20)
    gradient = torch.stack([d["gx"], d["gy"], d["gz"]], dim=-1)
    slope = (gradient * line).sum(-1, keepdim=True)
    gradient = gradient - slope * line
    step = (low + middle)[:, None] * gradient - torch.einsum("nij,nj->ni", hessian, gradient)
    return -step / (low * middle)[:, None], slope[:, 0].abs()
