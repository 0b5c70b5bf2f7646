"""How long the event loop was kept from its work: what a person feels as a frozen window."""

import time

from PySide6 import QtCore

INTERVAL_MS = 5


class GapMeter:
    """Ticks every few ms while the event loop runs; a gap is the time between two ticks beyond that."""

    def __init__(self):
        self.gaps_ms, self._last = [], time.perf_counter()
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
        now = time.perf_counter()
        self.gaps_ms.append(max(0.0, (now - self._last) * 1000 - INTERVAL_MS))
        self._last = now
