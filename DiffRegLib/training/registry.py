"""Weights by name: what lies in Resources/weights, in a folder of one's own, or at an address that a list tells.

A list is a `weights.json` in such a folder: name -> method, title, and either file, or url and sha256.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from DiffRegLib.errors import RegistrationError

INDEX = "weights.json"
OWN = "DIFFREG_WEIGHTS"  # the variable that names folders of one's own, before those of the program
SHIPPED = Path(__file__).resolve().parents[2] / "Resources" / "weights"
CACHE = Path(os.path.expanduser("~"), ".cache", "diffreg", "weights")  # Path.home() raises where there is none
CHUNK = 1 << 20
SECONDS = 30  # without an answer


@dataclass(frozen=True)
class Known:
    """Weights that a list names: in a file, or at an address with the SHA-256 of what is there."""

    name: str
    method: str
    title: str
    folder: Path
    file: str = ""
    url: str = ""
    sha256: str = ""

    @property
    def path(self) -> Path:
        """Where they are, or will be once they are downloaded."""
        return self.folder / self.file if self.file else CACHE / f"{self.sha256}.safetensors"

    @property
    def here(self) -> bool:
        return self.path.is_file()


def known_weights(method: str = "") -> dict[str, Known]:
    """Name -> weights of a method, or of all, that the lists name; the first list that knows a name counts."""
    folders = [Path(folder) for folder in os.environ.get(OWN, "").split(os.pathsep) if folder]
    found: dict[str, Known] = {}
    for folder in (*folders, SHIPPED):
        for name, entry in _index(folder).items():
            if not method or entry.get("method") == method:
                found.setdefault(name, _known(name, entry, folder))
    return found


def find_weights(given: str, ask: Callable[[str], bool] | None = None, method: str = "") -> str:
    """The path of weights that are given by a path, of a folder of `diffreg train` too, or by the name of known ones.

    ask: whether to download what a sentence tells; None never does. Raises RegistrationError for what is neither, and
    where the download fails or is not what the list says.
    """
    if os.path.exists(given):
        return given
    known = known_weights(method)
    if given not in known:
        names = ", ".join(known) or "none"
        raise RegistrationError(
            f"{given} is neither a file nor the name of known weights ({names}): check it.", path=given
        )
    weights = known[given]
    if not weights.here:
        _download(weights, ask)
    return str(weights.path)


def _index(folder: Path) -> dict[str, dict]:
    path = folder / INDEX
    try:
        return json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise RegistrationError(f"{path} is no list of weights in JSON: correct or remove it.", path=path) from error


def _known(name: str, entry: dict, folder: Path) -> Known:
    known = Known(name, folder=folder, **{k: str(v) for k, v in entry.items()})
    if not known.file and not (known.url and len(known.sha256) == 64):
        raise RegistrationError(
            f"{folder / INDEX} tells no file of {name}, nor url and sha256: complete it.", path=folder / INDEX
        )
    return known


def _download(weights: Known, ask: Callable[[str], bool] | None) -> None:
    """Into the cache, whole and with the SHA-256 of the list, or not at all."""
    if weights.file:
        raise RegistrationError(f"{weights.path} is missing: restore it.", path=weights.path)
    if ask is None or not ask(f"Download the weights {weights.name} from {weights.url}?"):
        raise RegistrationError(
            f"The weights {weights.name} are not on this machine: download them with diffreg weights {weights.name}."
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    half, digest = weights.path.with_suffix(".part"), hashlib.sha256()
    try:
        with urllib.request.urlopen(weights.url, timeout=SECONDS) as source, open(half, "wb") as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != weights.sha256:
            raise RegistrationError(
                f"{weights.url} does not have the SHA-256 that the list of {weights.name} tells: do not use it, and "
                "tell whoever keeps the list."
            )
        os.replace(half, weights.path)
    except OSError as error:
        raise RegistrationError(f"{weights.url} cannot be downloaded ({error}): check the connection.") from error
    finally:
        half.unlink(missing_ok=True)
