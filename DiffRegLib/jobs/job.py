"""A job: what to register with what, as `job.json` in a folder of its own."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DiffRegLib import __version__
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import JOB, split_key

SCHEMA = 1
PROGRESS, RESULT, TRACEBACK = "progress.jsonl", "result", "traceback.txt"
TRANSFORM, INVERSE, METRICS, OVERVIEW = "transform.h5", "inverse.h5", "metrics.json", "overview.png"
"""The core of a result, beside `job.json`."""


@dataclasses.dataclass(frozen=True)
class JobInput:
    """A file (or a DICOM folder) that a job reads: its role, its absolute path, and the checksum of its bytes.

    The path may end in `.npz:key`, one array of an archive. `sha256` is None until the worker has computed it.
    labels: whether the voxels of an image are labels, where who made the job knows it; None leaves it to the file.
    """

    role: str
    path: str
    sha256: str | None = None
    labels: bool | None = None


@dataclasses.dataclass(frozen=True)
class Job:
    """A registration that can be stored, run in another process, and recognized when it was run before.

    `options` holds the options of each group that the method knows (for splatting: `splatting` and `clouds`), as
    `DiffRegLib.options.to_dict` gives them.
    """

    method: str
    inputs: tuple[JobInput, ...]
    options: dict[str, dict[str, Any]]
    seed: int
    created: str
    version: str = __version__
    schema: int = SCHEMA

    def path(self, role: str) -> str | None:
        """The absolute path of the input of that role, or None where the job has none."""
        return next((i.path for i in self.inputs if i.role == role), None)

    def labels(self, path: str) -> bool | None:
        """Whether the input of that path holds labels, where the job says so."""
        return next((i.labels for i in self.inputs if i.path == path), None)

    def paths(self, role: str) -> list[str]:
        """The paths of the roles `role`, or `role_1`, `role_2`, ..., in their order."""
        numbered = [f"{role}_{n}" for n in range(1, len(self.inputs) + 1)]
        return [path for name in (role, *numbered) if (path := self.path(name)) is not None]

    def same_work(self, other: Job) -> bool:
        """Whether both jobs lead to the same result: same method, version, options, and bytes in the same roles."""
        mine, theirs = (
            (
                j.method,
                j.version,
                j.options,
                j.seed,
                {i.role: (i.sha256, split_key(i.path)[1], i.labels) for i in j.inputs},
            )
            for j in (self, other)
        )
        return mine == theirs and all(i.sha256 for i in self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """The content of `job.json`."""
        return dataclasses.asdict(self)


def make_job(
    folder: str | os.PathLike,
    method: str,
    inputs: Mapping[str, str | os.PathLike],
    options: Mapping[str, Mapping[str, Any]],
    checksums: bool = True,
    labels: Mapping[str, bool] | None = None,
) -> Job:
    """Writes the job into `folder` (made where it is missing) and returns it; starts nothing.

    inputs: role -> path; options: group -> option -> value (`to_dict` of the dataclasses).
    checksums: False leaves them to the worker, so that a window is not held up by a large file.
    labels: role -> whether its voxels are labels, where that is known.
    Raises `RegistrationError` where an input is missing or the folder cannot be written.
    """
    job = describe(method, inputs, options, checksums, labels)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / JOB, job.to_dict())
    except OSError as error:
        raise RegistrationError(
            f"The job folder {folder} cannot be written ({error.strerror}): choose another."
        ) from error
    return job


def describe(
    method: str,
    inputs: Mapping[str, str | os.PathLike],
    options: Mapping[str, Mapping[str, Any]],
    checksums: bool = True,
    labels: Mapping[str, bool] | None = None,
) -> Job:
    """The job that `make_job` would write."""
    said = labels or {}
    entries = tuple(_describe_input(role, os.fspath(path), checksums, said.get(role)) for role, path in inputs.items())
    plain = json.loads(json.dumps({group: dict(values) for group, values in options.items()}))
    seed = next((values["seed"] for values in plain.values() if "seed" in values), 0)
    created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return Job(method, entries, plain, seed, created)


def _describe_input(role: str, path: str, checksums: bool, labels: bool | None) -> JobInput:
    file, key = split_key(path)
    absolute = os.path.abspath(file) + (f":{key}" if key else "")
    if not os.path.exists(file):
        raise RegistrationError(f"{path} does not exist: check the name of the {role.replace('_', ' ')} file.")
    return JobInput(role, absolute, checksum(absolute) if checksums else None, labels)


def checksum(path: str) -> str:
    """SHA-256 of a file's bytes; of a folder, the names and bytes of its files in order."""
    file = Path(split_key(path)[0])
    digest = hashlib.sha256()
    try:
        for part in sorted(p for p in file.rglob("*") if p.is_file()) if file.is_dir() else [file]:
            if part != file:
                digest.update(part.relative_to(file).as_posix().encode())
            with open(part, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise RegistrationError(f"{file} cannot be read ({error.strerror}): check its permissions.") from error
    return digest.hexdigest()


def read_job(folder: str | os.PathLike) -> Job:
    """The job of a job folder or of a finished result; raises `RegistrationError` where there is none."""
    path = Path(folder) / JOB
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] > SCHEMA:
            raise RegistrationError(f"{path} comes from a newer DiffReg: update this one to read it.")
        values = {f.name: content[f.name] for f in dataclasses.fields(Job)}
        return Job(**{**values, "inputs": tuple(JobInput(**i) for i in content["inputs"])})
    except FileNotFoundError as error:
        raise RegistrationError(f"{folder} is not a job folder, {JOB} is missing: name another one.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, RegistrationError):
            raise
        raise RegistrationError(f"{path} is not a readable job: make the job again.") from error


def is_complete(folder: str | os.PathLike) -> bool:
    """Whether the job's result is there; it appears whole or not at all."""
    return (Path(folder) / RESULT / JOB).is_file()


def write_json(path: Path, content: Any) -> None:
    """Writes JSON that a person can read, in UTF-8."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
