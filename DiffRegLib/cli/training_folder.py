"""The folder of a training: it stays with its last checkpoint when the training is canceled, and goes without one."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from DiffRegLib.errors import RegistrationError

CHECKPOINT = "checkpoint.safetensors"
PATIENCE = 0.5  # seconds in which Ctrl-C must get through to Python, which cannot be heard inside a long computation
CANCELED = 130


@contextmanager
def training_folder(target: Path) -> Iterator[None]:
    """Makes the folder where it is missing; without a checkpoint in the end, it and the parents made for it go away.

    Ctrl-C, or a request to end, leaves the block with KeyboardInterrupt after a sentence on what is kept, or ends the
    process after half a second.
    Raises RegistrationError where the folder cannot be made.
    """
    missing = [p for p in (target, *target.parents) if not p.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistrationError(f"{target} cannot be written ({error.strerror}): choose another folder.") from error
    try:
        with ended_at_once(lambda: _leave(target, missing)):
            yield
    except KeyboardInterrupt:
        print(_kept(target), file=sys.stderr, flush=True)
        raise
    finally:
        _tidy(target, missing)


def _leave(target: Path, missing: list[Path]) -> None:
    print(_kept(target), file=sys.stderr, flush=True)
    _tidy(target, missing)
    os._exit(CANCELED)


def _kept(target: Path) -> str:
    if (target / CHECKPOINT).is_file():
        return f"diffreg: canceled, the last checkpoint stays in {target}: go on with --resume."
    if any(target.glob("[!.]*.safetensors")):
        return (
            f"diffreg: canceled before the first checkpoint, what was prepared stays in {target}: go on with --resume."
        )
    return "diffreg: canceled before the first checkpoint, nothing was kept."


def _tidy(target: Path, missing: list[Path]) -> None:
    for half in target.glob(".*.safetensors.*"):
        half.unlink(missing_ok=True)
    for folder in missing:  # refuses where something is inside
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def ended_at_once(action: Callable[[], None]) -> Iterator[None]:
    """Calls `action` in another thread when a signal has not ended the block after half a second.

    A signal is not heard inside a long computation, and the import of a package may swallow it.
    """
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    left = threading.Event()
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        with suppress(OSError):
            if ear.recv(1) and not left.wait(PATIENCE):
                action()

    threading.Thread(target=listen, daemon=True, name="end of training").start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        mouth.close()
