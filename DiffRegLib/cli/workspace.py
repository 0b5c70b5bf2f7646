"""A hidden folder beside a result: what is written there appears under its name whole, or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from DiffRegLib.errors import RegistrationError


@contextmanager
def workspace(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`; it goes away in the end, with the parents that were made for it.

    Raises `RegistrationError` where the folder above `target` cannot be made or written.
    """
    missing = [p for p in target.parents if not p.exists()]
    folder = None
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        except OSError as error:
            raise RegistrationError(
                f"{target.parent} cannot be written ({error.strerror}): choose another folder for the output."
            ) from error
        yield folder
    finally:
        with uninterrupted():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            for parent in missing:
                try:
                    parent.rmdir()  # refuses where the result has been put
                except OSError:
                    break


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not stop the removal that the first one began."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def put(made: Path, target: Path, space: Path) -> None:
    """Gives the finished `made`, in the workspace `space`, its final name; what stood there goes only then."""
    replaced = space / "replaced"
    with uninterrupted():
        if os.path.lexists(target):
            os.replace(target, replaced)
        try:
            os.replace(made, target)
        except OSError:
            if os.path.lexists(replaced):
                os.replace(replaced, target)
            raise
