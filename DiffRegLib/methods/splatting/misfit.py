"""How badly the densities of two clouds fit under the motion of the network, which needs no known motion."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.methods.splatting.network import Frame, Motion
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.similarity import Similarity
from DiffRegLib.points import PointCloud


def misfit(
    motion: Motion, frame: Frame, fixed: PointCloud, moving: PointCloud, sigma: float, options: SplattingOptions
) -> Tensor:
    """sigma^2 E in mm^2 of densities of this blur in mm, half of it each way; its gradient is that of E.

    fixed, moving: in RAS mm. options: voxel, saturation and loss of the densities.
    """
    total = fixed.points.new_zeros(())
    for go, still, moved in ((motion, moving, fixed), (motion.inverse(), fixed, moving)):
        at = frame.outside(go(frame.inside(moved.points)))
        with torch.no_grad():
            similarity = Similarity(
                still, moved.at(at.detach()), sigma, options.voxel, options.saturation, options.loss
            )
        value, scalar = similarity(at)
        total = total + sigma**2 * (scalar - scalar.detach() + value) / 2
    return total
