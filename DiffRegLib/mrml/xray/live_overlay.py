"""The radiograph of a CT that follows its pose: small pictures while it moves, whole ones when it rests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import qt
import slicer

from DiffRegLib.image import Image
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.xray.bones import Bones
from DiffRegLib.mrml.xray.layout import COLORS, SLICES, VIEWS
from DiffRegLib.mrml.xray.xray_view import XRayView
from DiffRegLib.radiographs.live import LiveRadiographs
from DiffRegLib.radiographs.radiograph import Radiograph

REST_MS = 150  # without a change after which the CT counts as resting
SHORTEST = 0.01  # seconds between two moving pictures; what comes sooner waits for the event loop
FRAMES = 20  # the last ones, of which the rate is told


class LiveOverlay:
    """Follows the transform `pose` until `stop`; the layout with the X-rays' slice views has to be there.

    volume: attenuation in 1/mm of what is projected, in the CT's own coordinates. xrays, names: at most two.
    ct: the node, for the volume rendering. rested: called when the CT has come to rest and the pictures are whole.
    """

    def __init__(
        self,
        volume: Image,
        xrays: Sequence[Radiograph],
        names: Sequence[str],
        ct: Any,
        pose: Any,
        rested: Callable[[], None],
        device: str = "auto",
    ) -> None:
        self._live = LiveRadiographs(volume, [xray.camera for xray in xrays], device)
        self._pose, self._rested = pose, rested
        self._live.warm_up(None if any(self._live.outside(self._matrix())) else self._matrix())
        colors = [tuple(int(c[n : n + 2], 16) / 255 for n in (1, 3, 5)) for c in COLORS]
        self.views = [XRayView(*given) for given in zip(xrays, names, VIEWS, colors)]
        self._bones = Bones(ct, slicer.app.layoutManager().threeDWidget(0).threeDView())
        self._over, self._opacity = "blend", 0.5
        manager = slicer.app.layoutManager()
        self._slices = [manager.sliceWidget(name).sliceView() for name in SLICES if manager.sliceWidget(name)]
        self._waiting = False  # whether the slices of the CT wait for it to rest
        self._times: list[float] = []
        self._drawn = 0.0  # when the last moving picture was ready
        self.still = False  # whether the pictures are whole and of the pose as it is
        self._frame_timer, self._rest_timer = self._timer(0, self._frame), self._timer(REST_MS, self._rest)
        self._tag = pose.AddObserver(slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._moved)
        self._rest()

    @property
    def frames_per_second(self) -> float:
        """Of the last pictures that followed each other while the CT moved; 0 before there are any."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    def show(self, over: str, opacity: float, beam: bool, bones: bool) -> None:
        """What lies over the X-rays (a mode of the library, empty for nothing), and what is seen in 3D."""
        for view in self.views:
            view.set_beam(beam)
        self._bones.show(bones)
        if (over, opacity) != (self._over, self._opacity):
            self._over, self._opacity = over, opacity
            self._draw(moving=False)

    def rest(self) -> None:
        """The hand has let go: the whole pictures at once."""
        self._rest_timer.stop()
        self._rest()

    def stop(self) -> None:
        """Ends it and takes everything out of the scene that belongs to it."""
        self._pose.RemoveObserver(self._tag)
        for timer, slot in ((self._frame_timer, self._frame), (self._rest_timer, self._rest)):
            timer.stop()
            timer.disconnect("timeout()", slot)  # which would keep this object and its volumes alive
        self._moving(False)
        self._bones.remove()
        for view in self.views:
            view.remove()

    def _timer(self, milliseconds: int, slot: Callable[[], None]) -> Any:
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", slot)
        return timer

    def _matrix(self) -> np.ndarray:
        matrix = arrays.array_to_matrix(np.eye(4))
        self._pose.GetMatrixTransformToParent(matrix)
        return arrays.matrix_to_array(matrix)

    def _moved(self, caller: Any, event: str) -> None:
        self.still = False
        self._rest_timer.start()
        if time.perf_counter() - self._drawn > SHORTEST:
            self._frame()  # before the views draw themselves with the radiograph of the pose before
        elif not self._frame_timer.isActive():
            self._frame_timer.start()

    def _moving(self, moves: bool) -> None:
        """The bones and the slices of the CT make way for the radiograph while it moves."""
        self._bones.moving(moves)
        if moves != self._waiting:
            self._waiting = moves
            for view in self._slices:
                view.pauseRender() if moves else view.resumeRender()

    def _frame(self) -> None:
        self._frame_timer.stop()
        self._moving(True)
        self._draw(moving=True)
        now = time.perf_counter()
        if self._times and now - self._times[-1] > REST_MS / 1000:
            self._times.clear()  # the hand rested meanwhile
        self._times.append(now)
        del self._times[:-FRAMES]
        self._drawn = time.perf_counter()

    def _rest(self) -> None:
        self._frame_timer.stop()
        self._draw(moving=False)
        self.still = True
        self._moving(False)
        self._rested()

    def _draw(self, moving: bool) -> None:
        pose = self._matrix()
        faults = self._live.outside(pose)
        drrs = self._live.render(pose, moving)
        for number, (view, drr, fault) in enumerate(zip(self.views, drrs, faults)):
            view.say(fault)
            if not fault:
                view.show(self._over, self._opacity, drr, self._live.camera(number, moving))
