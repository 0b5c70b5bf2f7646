"""Training of the learned similarity by double backward.

The network's gradient to the pose is compared with that of the squared geodesic distance between the pose and the pose
of the X-ray, and the comparison's gradient goes back through that gradient into the weights (Gao et al., ProST,
MICCAI 2020). Turns and shifts are compared on their own, each by 1 - cosine, and the lengths by the squared logarithm
of their ratio. Beyond the paper, the similarity itself is compared with half the squared distance, for each pose of a
batch with each X-ray of it: the embeddings are there, and so a batch of 16 tells of 256 pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.network import RADIUS, UNIT, Compared, SimilarityNetwork
from DiffRegLib.methods.projective.schedule import cyclic_rate
from DiffRegLib.methods.projective.simulation import Simulator
from DiffRegLib.methods.projective.training_options import NetworkOptions, TrainingOptions
from DiffRegLib.methods.projective.weights import write_weights
from DiffRegLib.options import to_dict, validate
from DiffRegLib.radiographs.resolution import pooled
from DiffRegLib.training.learner import Learner
from DiffRegLib.transforms.se3 import geodesic

TINY = 1e-8
NEAR = 0.5  # squared units halved: closer than one, the similarity's error counts absolutely
DATA = "CT, segmentation or view"
VALIDATED = 64  # pairs of poses, the same at every validation
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class SimilarityLearner(Learner):
    """A network that learns the similarity of the X-rays of one CT.

    volume: linear attenuation in 1/mm (1, D, H, W); organ: (1, D, H, W), not 0 in the segmented tissue; camera: of any
    number of pixels; pose: (4,4) of the CT before this camera, about which X-rays are taken.
    Raises RegistrationError for what does not fit together.
    """

    def __init__(
        self,
        volume: Image,
        organ: Tensor,
        camera: Camera,
        pose: Tensor,
        shape: NetworkOptions,
        options: TrainingOptions,
    ) -> None:
        validate(shape), validate(options)
        super().__init__(options.iterations, options.batch, options.seed, options.clip)
        self.options = options
        organ = _checked(organ, volume)
        coarse = pooled(Image(torch.cat((volume.data, organ)), volume.affine), shape.voxel)
        self.volume, self.organ = Image(coarse.data[:1], coarse.affine), coarse.data[1:]
        self.seen = Image(self.volume.data * self.organ, coarse.affine) if shape.alone else self.volume
        self.camera, self.center = fitted(camera, shape.detector), self.volume.center.double()
        self.simulator = Simulator(self.volume, self.organ, self.camera, pose, options)
        with torch.random.fork_rng([]):
            torch.manual_seed(options.seed)
            self.network = SimilarityNetwork(shape)
        self._calibrate()

    def forward(self, samples: Sequence[int]) -> dict[str, Tensor]:
        """Differences of the pose gradients in direction and length, and of the similarity itself; weighted in sum."""
        o, center = self.options, self.center.to(self.device)
        compared, starts, targets = self.compared(samples)
        direction, length = gradient_distance(compared.slopes, geodesic_slope(starts, targets, center))
        value = self._value_distance(compared, starts, targets)
        loss = direction + o.norm_weight * length + o.value_weight * value
        return {"loss": loss, "direction": direction, "length": length, "value": value}

    def compared(self, samples: Sequence[int]) -> tuple[Compared, Tensor, Tensor]:
        """What the network makes of some samples, and their starts and targets (B,4,4)."""
        center = self.center.to(self.device)
        drawn = self.simulator.draw([self.draws(n) for n in samples], self.device)
        channels = self.network.channels(self.seen.to(self.device), self.organ.to(self.device))
        compared = self.network.slope(channels, drawn.starts, center, self.camera, drawn.xrays, drawn.seen)
        return compared, drawn.starts, drawn.targets

    def _value_distance(self, compared: Compared, starts: Tensor, targets: Tensor) -> Tensor:
        """How far the similarity of each start with each X-ray is from half their squared distance, relatively."""
        moving, fixed = compared.embedded
        values = self.network.distance(moving[:, None], fixed[None])
        squared, _ = geodesic(starts[:, None], targets[None], self.center.to(starts), RADIUS)
        wanted = (squared / UNIT**2 / 2).to(values)
        return ((values - wanted) / (wanted + NEAR)).square().mean()

    def optimizer(self) -> torch.optim.Optimizer:
        """As the options say."""
        o = self.options
        extra = {"momentum": o.momentum} if o.optimizer == "sgd" else {}
        return OPTIMIZERS[o.optimizer](self.parameters(), o.learning_rate, weight_decay=o.weight_decay, **extra)

    def rate(self, iteration: int) -> float:
        """The rate rises and falls linearly once a cycle."""
        return cyclic_rate(self.options.learning_rate, self.options.peak, iteration, self.options.cycle)

    def validation(self) -> float:
        """The loss of samples that no step sees."""
        batches = [range(n - self.batch, n) for n in range(-self.batch, -self.batch - VALIDATED, -self.batch)]
        return sum(float(self(samples)["loss"]) for samples in batches) / len(batches)

    def identity(self) -> dict[str, dict[str, Any]]:
        """Shape of the network, options, and what it is trained on."""
        training = {name: value for name, value in to_dict(self.options).items() if name != "iterations"}
        data = _fingerprint(self.volume, self.organ, self.camera, self.simulator.pose)
        return {"network": to_dict(self.network.options), "training": training, "data": {DATA: data}}

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the weights for pose estimation."""
        write_weights(path, self.network, facts)

    def _calibrate(self) -> None:
        """Scales the untrained similarity, so that its gradients are as long on average as those it shall have."""
        with torch.no_grad():
            compared, starts, targets = self.compared(range(-self.batch, 0))
            wanted = geodesic_slope(starts, targets, self.center)
            ratios = wanted.norm(dim=1) / compared.slopes.norm(dim=1).clamp(min=TINY)
            self.network.log_scale.copy_(ratios.log().mean())


def geodesic_slope(poses: Tensor, targets: Tensor, center: Tensor) -> Tensor:
    """Gradient (B,6) of half the squared geodesic distance in `UNIT` to a twist in `UNIT`: the way from the target."""
    _, gradient = geodesic(poses, targets, center, RADIUS)
    return torch.cat((gradient[:, :3] / RADIUS, gradient[:, 3:]), 1) / (2 * UNIT)


def gradient_distance(slope: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """How far gradients (B,6) differ: in direction (turns and shifts, each 1 - cosine, 0 to 4) and in length."""
    direction, length = [], []
    for part in (slice(0, 3), slice(3, 6)):
        (a, b), (na, nb) = zip(*[_polar(v[:, part]) for v in (slope, wanted)])
        direction.append((1 - (a * b).sum(1)).mean())
        length.append((na / nb).log().square().mean())
    return sum(direction), sum(length)


def fitted(camera: Camera, width: int) -> Camera:
    """The camera with whole blocks of pixels read as one, at most `width` side by side."""
    return camera.resized(max(1, -(-max(camera.size) // width)))


def _polar(vectors: Tensor) -> tuple[Tensor, Tensor]:
    norm = (vectors.square().sum(1, keepdim=True) + TINY**2).sqrt()
    return vectors / norm, norm[:, 0]


def _checked(organ: Tensor, volume: Image) -> Tensor:
    if organ.shape != volume.data.shape:
        raise RegistrationError(
            f"The segmentation has the shape {tuple(organ.shape)}, the CT {tuple(volume.data.shape)}: use one grid."
        )
    inside = organ != 0
    if not inside.any():
        raise RegistrationError("The segmentation is empty on the grid of the CT: choose other labels.")
    return inside.to(volume.data)


def _fingerprint(volume: Image, organ: Tensor, camera: Camera, pose: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in (volume.data, organ, volume.affine, camera.pose, camera.intrinsics, pose):
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
