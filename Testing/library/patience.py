"""Limits of time that hold on a busy machine."""

import subprocess
import sys
import time

DEADLOCK = 300
"""Seconds after which a process will never end: many times what it takes where others work, too."""


def allowed(seconds: float) -> float:
    """Seconds that something may take now which takes `seconds` on a quiet machine.

    A busy machine gets ten times as much more as it needs for nothing at all, an empty Python (0.02 s on a quiet one).
    """
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return seconds + 10 * (time.monotonic() - begin)
