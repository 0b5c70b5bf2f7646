"""How a worker notices that the process that started it is gone: its standard input ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

POLL = 0.2  # seconds


def when_parent_ends(action: Callable[[], None]) -> None:
    """Calls `action` in a thread of its own as soon as the standard input is closed."""
    wait = _wait_on_windows if os.name == "nt" else _wait

    def watch() -> None:
        wait()
        action()

    threading.Thread(target=watch, daemon=True, name="parent watch").start()


def _wait() -> None:
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass  # an input that cannot be read is one that nobody holds open


def _wait_on_windows() -> None:
    """Looks at the pipe instead of reading it: a pending read there holds up every library that asks what stdin is."""
    import ctypes
    import msvcrt
    from ctypes import wintypes

    peek = ctypes.windll.kernel32.PeekNamedPipe
    peek.argtypes = [wintypes.HANDLE, *[wintypes.LPVOID, wintypes.DWORD], *[wintypes.LPVOID] * 3]
    handle = msvcrt.get_osfhandle(0)
    while peek(handle, None, 0, None, None, None):
        time.sleep(POLL)
