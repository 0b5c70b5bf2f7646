"""How long a test waits: by the machine as it is, so that others' work on it fails nothing."""

import subprocess
import sys
import time


def slowness() -> float:
    """How many times longer than on a quiet machine work takes now: an empty Python's time by its processor time."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", "import time; print(time.process_time())"]
    worked = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return max(1.0, (time.perf_counter() - begin) / worked)


def patient(seconds: float) -> float:
    """The seconds that are due now to what takes at most `seconds` on a quiet machine."""
    return seconds * slowness()
