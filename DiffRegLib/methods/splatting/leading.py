"""A trained network in place of affine, coarse levels and search: it leads, adapts itself to the pair, and tells where.

Adaptation goes on with the training for a few iterations on the pair alone: densities that fit better, both ways, and
velocities that bend less (test-time adaptation; Heinrich et al., ICCV 2023, call it instance optimization).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.registration import Meter, TraceRow
from DiffRegLib.methods.splatting.deformation import MARGIN, round_trip
from DiffRegLib.methods.splatting.misfit import misfit
from DiffRegLib.methods.splatting.network import Frame, Motion, SplatNetwork
from DiffRegLib.methods.splatting.optimize import Rows
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.thresholds import THRESHOLDS
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import DisplacementField
from DiffRegLib.transforms.folds import unfolded

STAGE = "adaptation"


@dataclass(frozen=True)
class Led:
    """What a network found for two clouds, the fixed one in moving space."""

    motion: Motion
    frame: Frame
    points: Tensor
    spacing: float
    trace: Rows

    @torch.no_grad()
    def moved(self, points: Tensor) -> Tensor:
        """(N, 3) RAS mm, from fixed to moving."""
        return _through(self.motion, self.frame, points)

    @torch.no_grad()
    def transforms(self) -> tuple[DisplacementField, DisplacementField]:
        """The deformation and its inverse, which tells its residual, both without folds."""
        geometry = Geometry.around(self.points, self.spacing, margin=MARGIN)
        nodes = geometry.grid(self.points.device).reshape(-1, 3)
        fields = []
        for motion in (self.motion, self.motion.inverse()):
            shift = (_through(motion, self.frame, nodes) - nodes).T.reshape(3, *geometry.shape)
            whole = unfolded(Image(shift, geometry.affine))
            fields.append(DisplacementField(Image(whole.data.cpu().contiguous(), geometry.affine)))
        forward, backward = fields
        backward.residual = round_trip(forward, backward)
        return forward, backward


def lead(network: SplatNetwork, fixed: PointCloud, moving: PointCloud, options: SplattingOptions, meter: Meter) -> Led:
    """Lets the network see two clouds, the fixed one where it starts, and adapts it to them as the options say."""
    _check_channels(network, fixed)
    frame = Frame.around(fixed.points, moving.points)
    seen = [cloud.at(frame.inside(cloud.points)) for cloud in (fixed, moving)]
    network = copy.deepcopy(network).to(fixed.points.device).requires_grad_(options.adaptation > 0)
    both, rows = torch.cat((fixed.points, moving.points)), _adapt(network, seen, frame, (fixed, moving), options, meter)
    with torch.no_grad():
        motion = network(*seen)
    meter.step("The network has led the way.")
    return Led(motion, frame, both, options.control_spacing / 2, rows)


def _adapt(
    network: SplatNetwork,
    seen: list[PointCloud],
    frame: Frame,
    clouds: tuple[PointCloud, PointCloud],
    options: SplattingOptions,
    meter: Meter,
) -> Rows:
    adam, rows = torch.optim.Adam(network.parameters()), []
    for iteration in range(options.adaptation):
        share = iteration / options.adaptation
        adam.param_groups[0]["lr"] = rate = THRESHOLDS.adaptation_rate * (1 - share)
        first, last = THRESHOLDS.adaptation_sigmas
        motion = network(*seen)
        value = misfit(motion, frame, *clouds, first + (last - first) * share, options)
        bending = THRESHOLDS.adaptation_stiffness * motion.bending()
        adam.zero_grad()
        (value + bending).backward()
        adam.step()
        rows.append(TraceRow(0, iteration, float(value.detach()), float(bending.detach()), rate, STAGE))
        meter.step("Adapting the network to the pair.", row=rows[-1])
    return tuple(rows)


def _through(motion: Motion, frame: Frame, points: Tensor) -> Tensor:
    return frame.outside(motion(frame.inside(points)))


def _check_channels(network: SplatNetwork, cloud: PointCloud) -> None:
    if len(cloud.labels) > network.options.channels:
        raise RegistrationError(
            f"The clouds share {len(cloud.labels)} labels, and {{network}} tells {network.options.channels} apart: "
            "give one that was trained for them, or none.",
            option="network",
        )
