"""How long the event loop was kept from its work: what a person feels as a frozen window."""

import time
from pathlib import Path

from PySide6 import QtCore

INTERVAL_MS = 5
SCHEDULER = Path("/proc/thread-self/schedstat")  # nanoseconds: on the processor, waiting for it; number of turns


def waited_ms():
    """How long this thread had to wait for a processor that others held; 0 where the system does not say."""
    return int(SCHEDULER.read_text().split()[1]) / 1e6 if SCHEDULER.exists() else 0.0


class GapMeter:
    """Ticks every few ms while the event loop runs; a gap is the time between two ticks beyond that.

    What other programs on a busy machine took from this thread is no gap of its own making, and is left out.
    """

    def __init__(self):
        self.gaps_ms, self._last = [], self._now()
        self._timer = QtCore.QTimer(timerType=QtCore.Qt.TimerType.PreciseTimer, interval=INTERVAL_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    @property
    def longest_ms(self):
        return max(self.gaps_ms, default=0.0)

    def stop(self):
        self._tick()
        self._timer.stop()

    def _tick(self):
        now = self._now()
        self.gaps_ms.append(max(0.0, now - self._last - INTERVAL_MS))
        self._last = now

    @staticmethod
    def _now():
        """ms, without those for which others held the processor."""
        return time.perf_counter() * 1000 - waited_ms()
