"""The training of the network of splatting from files: clouds and pairs of clouds in, weights out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import open_file
from DiffRegLib.methods.registration import Part, Progress
from DiffRegLib.methods.splatting import KINDS
from DiffRegLib.methods.splatting.checks import comparable
from DiffRegLib.methods.splatting.initialize import initial_affine
from DiffRegLib.methods.splatting.learning import SplatLearner
from DiffRegLib.methods.splatting.network import check_network
from DiffRegLib.methods.splatting.network_options import NetworkOptions, SplattingTrainingOptions
from DiffRegLib.methods.splatting.synthetic import MovedClouds, TrainingPair
from DiffRegLib.options import from_dict
from DiffRegLib.points import PointCloud
from DiffRegLib.points.extract import cloud_of
from DiffRegLib.points.options import CloudOptions
from DiffRegLib.training.checkpoint import stored_options
from DiffRegLib.training.manifest import Listed, of_split, read_manifest
from DiffRegLib.training.options import RunOptions
from DiffRegLib.training.trainer import train

PREPARED = 0.05  # of the progress, where all clouds have been read
LISTED = 0.5  # of the samples are pairs of the list, where there is one beside moved clouds


def run(
    inputs: Mapping[str, str], options: Mapping[str, Mapping[str, Any]], folder: Path, resume: bool, progress: Progress
) -> str:
    """Trains into `folder` and returns a sentence on what came of it; see `DiffRegLib.methods.method.Training`."""
    stored = stored_options(folder) if resume else {}
    shape, training = (
        from_dict(cls, {**stored.get(group, {}), **options[group]})
        for group, cls in (("network", NetworkOptions), ("training", SplattingTrainingOptions))
    )
    check_network(shape)
    clouds = from_dict(CloudOptions, dict(options["clouds"]))
    listed = read_manifest(inputs["manifest"], KINDS) if "manifest" in inputs else []
    paths = [path for role, path in inputs.items() if role.startswith("scan")]
    source = _Source(paths, listed, clouds, shape, training, Part(progress, 0.0, PREPARED))
    learner = SplatLearner(source.pair, {"clouds": source.digest()}, shape, training, source.validated)
    facts = {"scans": [Path(p).name for p in paths], "pairs": len(source.listed), "trees": training.trees}
    chosen = from_dict(RunOptions, dict(options["run"]))
    means = train(learner, chosen, folder, facts, resume, Part(progress, PREPARED, 1.0))
    return f"Wrote {folder}, mean error of the last steps {means['error']:.3g}."


class _Source:
    """Where the pairs come from: clouds under random motion, and pairs of a list."""

    def __init__(
        self,
        paths: Sequence[str],
        listed: Sequence[Listed],
        clouds: CloudOptions,
        shape: NetworkOptions,
        training: SplattingTrainingOptions,
        progress: Progress,
    ) -> None:
        self._options, self._shape, self._seed = clouds, shape, training.seed
        total, read = len(paths) + len(listed) or 1, []
        for number, path in enumerate(paths):
            progress(number / total, f"Reading {Path(path).name}.")
            read.append(self._cloud(path))
        self.moved = MovedClouds(read, training)
        self.listed: list[TrainingPair] = []
        self.validated: list[TrainingPair] = []
        for split, pairs in (("train", self.listed), ("validation", self.validated)):
            for line in of_split(listed, split):
                progress((len(paths) + len(pairs)) / total, f"Reading {Path(line.fixed).name}.")
                pairs.append(self._pair(line))
        if not len(self.moved) and not self.listed:
            raise RegistrationError("There is nothing to learn from: give {trees}, scans or pairs.", option="trees")

    def pair(self, draws: torch.Generator) -> TrainingPair:
        """The pair of a sample."""
        from_list = bool(self.listed) and (not len(self.moved) or float(torch.rand((), generator=draws)) < LISTED)
        if from_list:
            return self.listed[int(torch.randint(len(self.listed), (), generator=draws))]
        return self.moved.pair(draws)

    def digest(self) -> str:
        """SHA-256 of all points."""
        digest = hashlib.sha256()
        pairs = [cloud for pair in (*self.listed, *self.validated) for cloud in (pair.fixed, pair.moving)]
        for cloud in (*self.moved.clouds, *pairs):
            digest.update(cloud.points.numpy().tobytes())
        return digest.hexdigest()

    def _cloud(self, path: str) -> PointCloud:
        cloud = cloud_of(open_file(path, KINDS).content, self._options, None, self._seed, path)
        if len(cloud.labels) > self._shape.channels:
            raise RegistrationError(
                f"{path} has {len(cloud.labels)} labels, {{channels}} is {self._shape.channels}: give as many.",
                option="channels",
                path=path,
            )
        return cloud

    def _pair(self, line: Listed) -> TrainingPair:
        fixed, moving = comparable(self._cloud(line.fixed), self._cloud(line.moving))
        start = initial_affine(fixed, moving, "moments", None)
        fixed = fixed.at(start(fixed.points))
        if not line.fixed_landmarks:
            return TrainingPair(fixed, moving)
        marks = [
            open_file(p, ("points",)).content.points.float() for p in (line.fixed_landmarks, line.moving_landmarks)
        ]
        if len(marks[0]) != len(marks[1]):
            raise RegistrationError(
                f"{line.fixed_landmarks} has {len(marks[0])} landmarks and {line.moving_landmarks} {len(marks[1])}: "
                "give corresponding ones.",
                path=line.fixed_landmarks,
            )
        return TrainingPair.marked(fixed, moving, (start(marks[0]), marks[1]))
