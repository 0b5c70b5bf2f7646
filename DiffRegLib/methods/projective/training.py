"""Training of the learned similarity by double backward.

The network's gradient to the pose is compared with that of the squared geodesic distance between the pose and the pose
of the X-ray, and the comparison's gradient goes back through that gradient into the weights (Gao et al., ProST,
MICCAI 2020). Turns and shifts are compared on their own, each by 1 - cosine, and the lengths by the squared logarithm
of their ratio.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.network import RADIUS, UNIT, SimilarityNetwork
from DiffRegLib.methods.projective.schedule import cyclic_rate
from DiffRegLib.methods.projective.simulation import Simulator
from DiffRegLib.methods.projective.training_options import NETWORK, NetworkOptions, TrainingOptions
from DiffRegLib.methods.projective.weights import build, read_tensors, write_tensors, write_weights
from DiffRegLib.methods.registration import Progress
from DiffRegLib.ops.device import choose_device
from DiffRegLib.options import to_dict, validate
from DiffRegLib.radiographs.resolution import pooled
from DiffRegLib.training.tensors import optimizer_tensors, restore_optimizer, write_whole
from DiffRegLib.transforms.se3 import geodesic

CHECKPOINT, TRACE = "checkpoint.safetensors", "trace.csv"
MAY_CHANGE = ("iterations", "checkpoint", "device")  # options of a run that may differ when it is resumed
TINY = 1e-8


@dataclass(frozen=True)
class Step:
    """One iteration: loss, its two parts before weighting, and the learning rate."""

    iteration: int
    loss: float
    direction: float
    length: float
    learning_rate: float


class Trainer:
    """A training run: iterate over `steps`, write with `save`, go on with `resume`.

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
        self.options = options
        self.device = choose_device(options.device)
        organ = _checked(organ, volume)
        coarse = pooled(Image(torch.cat((volume.data, organ)), volume.affine), shape.voxel).to(self.device)
        self.volume, self.organ = Image(coarse.data[:1], coarse.affine), coarse.data[1:]
        self._seen = Image(self.volume.data * self.organ, coarse.affine) if shape.alone else self.volume
        self.camera, self.center = fitted(camera, shape.detector), self.volume.center.double().to(self.device)
        self.simulator = Simulator(self.volume, self.organ, self.camera, pose, options)
        with torch.random.fork_rng([]):
            torch.manual_seed(options.seed)
            self.network = SimilarityNetwork(shape).to(self.device)
        self._calibrate()
        self.optimizer = _optimizer(self.network, options)
        self.trace: list[Step] = []

    def steps(self) -> Iterator[Step]:
        """Trains from where the run is to `options.iterations`, one iteration at a time."""
        while len(self.trace) < self.options.iterations:
            yield self._step(len(self.trace))

    def _step(self, iteration: int) -> Step:
        rate = learning_rate(self.options, iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        direction, length = self.compared(iteration)
        loss = direction + self.options.norm_weight * length
        if not loss.isfinite():
            raise RegistrationError(f"The loss is {loss.item()} at step {iteration + 1}: use a lower learning rate.")
        parameters = list(self.network.parameters())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, self.options.clip)
        self.optimizer.step()
        self.trace.append(Step(iteration + 1, loss.item(), direction.item(), length.item(), rate))
        return self.trace[-1]

    def _calibrate(self) -> None:
        """Scales the untrained similarity, so that its gradients are as long on average as those it shall have."""
        with torch.no_grad():
            slope, wanted = self.slopes(-1)
            ratios = wanted.norm(dim=1) / slope.norm(dim=1).clamp(min=TINY)
            self.network.log_scale.copy_(ratios.log().mean())

    def compared(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Differences of the pose gradients in direction and length for the poses of an iteration."""
        return gradient_distance(*self.slopes(iteration))

    def slopes(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Gradients (B,6) of the network and of the geodesic distance for the poses of an iteration."""
        targets, starts, xrays = self.simulator.draw(iteration)
        channels = self.network.channels(self._seen, self.organ)
        _, slope = self.network.slope(channels, starts, self.center, self.camera, xrays)
        return slope, geodesic_slope(starts, targets, self.center)

    def save(self, folder: Path) -> None:
        """Writes the checkpoint and the trace; both appear whole."""
        state = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        state |= {f"optimizer.{name}": t for name, t in optimizer_tensors(self.optimizer).items()}
        rows = [[float(v) for v in astuple(step)] for step in self.trace]
        state["trace"] = torch.tensor(rows, dtype=torch.float64).reshape(-1, len(fields(Step)))
        write_tensors(folder / CHECKPOINT, state, self._content())
        write_trace(folder / TRACE, self.trace)

    def finish(self, folder: Path, facts: dict[str, Any]) -> None:
        """Writes the weights for pose estimation."""
        last = self.trace[-100:]
        mean = sum(step.loss for step in last) / len(last)
        content = self._content()
        facts = {**facts, "training": content["training"], "steps": len(self.trace), "last_losses": mean}
        write_weights(folder / NETWORK, self.network, facts)

    def resume(self, folder: Path) -> None:
        """Takes up the checkpoint of a folder; raises RegistrationError where it belongs to another training."""
        path = folder / CHECKPOINT
        tensors, content = read_tensors(path)
        mine = self._content()
        for group in ("network", "training"):
            for name, value in mine[group].items():
                if name not in MAY_CHANGE and content.get(group, {}).get(name) != value:
                    was = content.get(group, {}).get(name)
                    raise RegistrationError(
                        f"{path} was trained with {{{name}}} {was}, not {value}: use that to resume.", option=name
                    )
        if content.get("data") != mine["data"]:
            raise RegistrationError(f"{path} was trained on another CT, segmentation or view: name those to resume.")
        parts = {p: {k[len(p) :]: t for k, t in tensors.items() if k.startswith(p)} for p in ("network.", "optimizer.")}
        stored = build(parts["network."], content, path)
        self.network.load_state_dict(stored.state_dict())
        restore_optimizer(self.optimizer, parts["optimizer."])
        self.trace = [Step(int(row[0]), *row[1:]) for row in tensors["trace"].tolist()]

    def _content(self) -> dict[str, Any]:
        return {
            "network": to_dict(self.network.options),
            "training": to_dict(self.options),
            "data": _fingerprint(self.volume, self.organ, self.camera, self.simulator.pose),
        }


def train(trainer: Trainer, folder: Path, facts: dict[str, Any], progress: Progress | None = None) -> None:
    """Runs a training to its end, with checkpoints in a folder; what `progress` raises ends it at the last of them."""
    total, every = trainer.options.iterations, trainer.options.checkpoint
    for step in trainer.steps():
        if step.iteration % every == 0 or step.iteration == total:
            trainer.save(folder)
        if progress is not None:
            progress(step.iteration / total, "Training.", iteration=step.iteration, loss=step.loss)
    trainer.finish(folder, facts)


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


def learning_rate(options: TrainingOptions, iteration: int) -> float:
    """The rate rises and falls linearly once a cycle."""
    return cyclic_rate(options.learning_rate, options.peak, iteration, options.cycle)


def fitted(camera: Camera, width: int) -> Camera:
    """The camera with whole blocks of pixels read as one, at most `width` side by side."""
    return camera.resized(max(1, -(-max(camera.size) // width)))


def write_trace(path: Path, trace: list[Step]) -> None:
    """A .csv with one line an iteration."""
    lines = [",".join(f.name for f in fields(Step))]
    lines += [",".join(f"{value:.9g}" for value in astuple(step)) for step in trace]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _polar(vectors: Tensor) -> tuple[Tensor, Tensor]:
    norm = (vectors.square().sum(1, keepdim=True) + TINY**2).sqrt()
    return vectors / norm, norm[:, 0]


def _optimizer(network: SimilarityNetwork, options: TrainingOptions) -> torch.optim.Optimizer:
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    extra = {"momentum": options.momentum} if options.optimizer == "sgd" else {}
    return kinds[options.optimizer](
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay, **extra
    )


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
