"""A trained network with what it needs to know of its training: weights in a file, and predictions for a scan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d, interpolate

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.network import STRIDE, SupervoxelNetwork
from DiffRegLib.methods.supervoxels.options import PreparationOptions, SegmentationOptions
from DiffRegLib.ops.backend import available
from DiffRegLib.ops.threads import in_parallel
from DiffRegLib.options import from_dict, to_dict
from DiffRegLib.training.options import NETWORK
from DiffRegLib.training.tensors import read_tensors, write_tensors

FORM = "a network of supervoxels, version 1"
SLAB = 16  # slices of the output at a time
HALO = 2  # slices around them: one for the head's neighborhoods, one for the interpolation
PARTS = 4  # of the box along each axis, by whose mean HU a reference is known
APART = 10.0  # HU; what resampling may change of such a mean
UNLIKE = 0.75  # of the confidence in the training; two networks of one abdomen have 0.97 and 1.05 of it in the same
# patient with another contrast and field of view, 0.63 and 0.60 in another patient, where the first was useless, and
# 0.52 and 0.49 in a chest


@dataclass(frozen=True)
class Model:
    """A network, the box of the scans that it saw, and facts on its training, `confidence` among them."""

    network: SupervoxelNetwork
    preparation: PreparationOptions
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check(self, confidence: float, name: str) -> None:
        """Raises RegistrationError where the network was much less sure of a scan than in its training."""
        usual = float(self.facts.get("confidence", 0.0))
        if confidence < UNLIKE * usual:
            raise RegistrationError(
                f"{name} does not look like the reference of the network (its confidence is {confidence:.2f}, in the "
                f"training {usual:.2f}): use another network, or none.",
                path=name,
            )

    def check_reference(self, reference: Image, name: str) -> None:
        """Raises RegistrationError where a scan on the grid of the supervoxels is not the reference of the network."""
        known = self.facts.get("means")
        found = means(reference.data)
        if known is not None and max(abs(a - b) for a, b in zip(known, found)) > APART:
            raise RegistrationError(
                f"The network was trained for the reference {self.facts.get('reference')}, which is not {name}: give "
                "that one or none, or the network of this one.",
                path=name,
            )

    def check_layers(self, options: SegmentationOptions) -> None:
        """Raises RegistrationError where another count of layers or classes is asked for than the network knows."""
        usual, network = SegmentationOptions(), self.network
        for name, known in (("layers", network.layers), ("classes", network.classes)):
            asked = getattr(options, name)
            if asked not in (known, getattr(usual, name)):
                raise RegistrationError(
                    f"The network predicts {network.layers} layers of {network.classes} classes, but {{{name}}} asks "
                    f"for {asked}: leave it out, or use another network.",
                    option=name,
                )


def means(reference: Tensor) -> list[float]:
    """What a reference (1, D, H, W) in HU is known by: the means of parts of its box, rounded to 1 HU."""
    return adaptive_avg_pool3d(reference.float(), PARTS).round().flatten().tolist()


@dataclass(frozen=True, eq=False)
class Prediction:
    """layers: (L, D, H, W) uint8 on the grid of the scan; confidence: mean of the largest probability of a class."""

    layers: Tensor
    confidence: float


def write_model(path: Path, model: Model) -> None:
    """Writes weights, preparation and facts."""
    network = model.network
    content = {
        "network": {"layers": network.layers, "classes": network.classes},
        "preparation": to_dict(model.preparation),
        "facts": dict(model.facts),
    }
    write_tensors(path, network.state_dict(), content, FORM)


def read_model(path: str | os.PathLike) -> Model:
    """The model of a file, or of a folder that `diffreg train` made; raises RegistrationError for anything else."""
    path = Path(path)
    path = path / NETWORK if path.is_dir() else path
    tensors, content = read_tensors(path, FORM)
    try:
        network = SupervoxelNetwork(**content["network"])
        network.load_state_dict(tensors)
        preparation = from_dict(PreparationOptions, content["preparation"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise RegistrationError(f"{path} does not hold a whole network: train it again.", path=path) from error
    return Model(network.eval().requires_grad_(False), preparation, content.get("facts", {}))


@torch.no_grad()
def predict(network: SupervoxelNetwork, scan: Image, inside: Tensor | None = None) -> Prediction:
    """The supervoxels of a scan (1, D, H, W) in HU on their grid, a slab at a time.

    inside: (D, H, W) bool, where the confidence counts; everywhere by default. It is computed where the network is;
    the layers are on the CPU.
    """
    features = network.features(scan.data[None].to(network.device))
    depth = features.shape[2]
    layers, sure = [], []
    for first in range(0, depth, SLAB):
        last = min(first + SLAB, depth)
        low, high = max(0, first - HALO), min(depth, last + HALO)
        logits = network.classify(features[:, :, low:high])[0]
        sure.append(logits[:, :, first - low : last - low].softmax(1).amax(1).mean(0).cpu())
        cut = slice(STRIDE * (first - low), STRIDE * (last - low))
        layers.append(finest_classes(logits, scan.shape[1:])[:, cut])
    confidence = torch.cat(sure)
    if inside is not None:
        confidence = confidence[inside[::STRIDE, ::STRIDE, ::STRIDE][:depth]]
    return Prediction(torch.cat(layers, 1)[:, : scan.shape[0]], float(confidence.mean()))


def finest_classes(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """(L, D, H, W) uint8 on the grid of the scan: the most likely classes of logits (L, K, d, h, w) on the coarser one.

    size: of the grid, (H, W), odd ones too.
    """
    if logits.device.type != "cpu" or not available("cpu"):
        return torch.stack([_plain(layer).cpu() for layer in logits])[..., : size[0], : size[1]]
    from DiffRegLib.methods.supervoxels.kernels import finest

    found = torch.empty(len(logits), *(STRIDE * n for n in logits.shape[2:]), dtype=torch.uint8)
    in_parallel(lambda n: finest(logits[n].contiguous().numpy(), found[n].numpy()), range(len(logits)))
    return found[..., : size[0], : size[1]]


def _plain(logits: Tensor) -> Tensor:
    """(2 d, 2 h, 2 w) uint8 of (K, d, h, w): in plain torch."""
    return interpolate(logits[None], scale_factor=STRIDE, mode="trilinear", align_corners=False)[0].argmax(0).byte()
