"""The live radiograph as the panel runs it: from the settings to the views, and the hands on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.panel import packages
from DiffRegLib.mrml.panel.option_parameters import parameter_name, read_options
from DiffRegLib.mrml.xray import layout
from DiffRegLib.mrml.xray.before import Before
from DiffRegLib.options import option_fields
from XRayPoseLib import carm, checks
from XRayPoseLib.parameters import CARMS, GROUPS, xrays
from XRayPoseLib.pose import Pose, fault_of
from XRayPoseLib.source import attenuation_of, part_names


class Session:
    """Runs from `start` to `stop`; stopped, nothing of it is in the scene but the pose."""

    def __init__(self, parameters: Any, pose: Pose, rested: Callable[[], None]) -> None:
        self.parameters, self._pose, self._rested = parameters, pose, rested
        self.view: Any = None
        self.held = False  # whether no hand may move the CT
        self.hands: list[Any] = []
        self._key: tuple[Any, ...] = ()
        self._before: Any = None  # what the views showed
        if parameters.live and packages.missing():
            parameters.live = False  # a scene that is opened asks for no installation

    @property
    def running(self) -> bool:
        return self.view is not None

    def start(self) -> None:
        """Shows the X-rays with the CT over them; raises RegistrationError, and then nothing has changed."""
        reason, _about = checks.why_not(self.parameters)
        if reason:
            raise RegistrationError(reason)
        volume, prepared, names, cameras = self._prepare()
        self._pose.ensure()
        first = self._before is None
        if first:
            self._before = Before(self.parameters.ct)
        layout.arrange(len(prepared))
        self._show(volume, prepared, names, cameras)
        self._key = self.key()
        if first:  # once the views have their sizes; later they stay as a person has turned them
            qt.QTimer.singleShot(0, lambda: self._fit(cameras[0]))

    def restart(self) -> None:
        """Takes changed inputs over; raises RegistrationError, and then it has stopped."""
        self._leave_views()
        try:
            if self.parameters.pose is None:
                raise RegistrationError(_("The pose is gone: press Live radiograph to begin with a new one."))
            self.start()
        except RegistrationError:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it; the layout and what the views showed before come back."""
        self._leave_views()
        if self._before is not None:
            self._before.restore()
            self._before = None

    def update(self) -> None:
        """Shows what the settings of the views say."""
        if self.running:
            p = self.parameters
            self._pose.take_along()
            self.view.show(p.over.mode, p.over_opacity, p.show_beam, p.show_volume)
            for hand in self.hands:
                hand.enabled = bool(p.drag and not self.held)
            self._show_handles(bool(p.show_handles and not self.held))

    @property
    def outdated(self) -> bool:
        """Whether the inputs are others than those that are shown."""
        return self.running and self.key() != self._key

    def key(self) -> tuple[Any, ...]:
        """What the pictures depend on, besides the pose."""
        p = self.parameters
        names = [
            parameter_name(g, f) for g, o in (*CARMS.items(), ("imaging", GROUPS["imaging"])) for f in option_fields(o)
        ]
        nodes = [_identity(node) for node in (p.ct, p.part, p.xray_1, p.xray_2, p.pose)]
        return (*nodes, fault_of(p), p.part_name, tuple(part_names(p.part)), *(p.getValue(name) for name in names))

    def _prepare(self) -> tuple[Any, ...]:
        """Everything that can fail, before anything in the scene changes."""
        from DiffRegLib.mrml.xray.nodes import xray_of
        from DiffRegLib.options import from_dict
        from DiffRegLib.radiographs.options import ImagingOptions
        from DiffRegLib.radiographs.radiograph import prepare

        imaging = from_dict(ImagingOptions, read_options(self.parameters, GROUPS)["imaging"])
        cameras = carm.cameras(self.parameters)
        read = [xray_of(node) for _number, node in xrays(self.parameters)]
        prepared = [prepare(xray, camera, imaging.line_integrals) for xray, camera in zip(read, cameras)]
        names = [node.GetName() for _number, node in xrays(self.parameters)]
        return attenuation_of(self.parameters, imaging), prepared, names, cameras

    def _show(self, volume: Any, prepared: list[Any], names: list[str], cameras: list[Any]) -> None:
        from DiffRegLib.mrml.xray.live_overlay import LiveOverlay
        from DiffRegLib.mrml.xray.mouse import XRayHand

        p, pose = self.parameters, self._pose
        device = read_options(p, GROUPS)["pose"]["device"]
        self.view = LiveOverlay(volume, prepared, names, p.ct, pose.node, self._rested, device)
        center = carm.center_of(p.ct)
        for name, camera in zip(layout.VIEWS, cameras):
            widget = slicer.app.layoutManager().sliceWidget(name).sliceView()
            self.hands.append(XRayHand(widget, camera, center, lambda: pose.matrix, pose.move, self.view.rest))
        for name in layout.SLICES:
            layout.composite_of(name).SetBackgroundVolumeID(p.ct.GetID())
        self.update()

    def _fit(self, camera: Any) -> None:
        """Brings everything into the pictures."""
        if self.running:
            for name in layout.SLICES:
                widget = slicer.app.layoutManager().sliceWidget(name)
                if widget is not None:
                    widget.fitSliceToBackground()
            for view in self.view.views:
                view.fit()
            layout.look_from_the_side(camera)

    def _leave_views(self) -> None:
        for hand in self.hands:
            hand.remove()
        self.hands = []
        if self.view is not None:
            self.view.stop()
            self.view = None
            self._show_handles(False)

    def _show_handles(self, visible: bool) -> None:
        node = self._pose.node
        if node is None or node.GetScene() is None:
            return
        if node.GetDisplayNode() is None:
            if not visible:
                return
            node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetEditorVisibility(visible)
        display.SetEditorVisibility3D(visible)
        display.SetEditorSliceIntersectionVisibility(False)
        display.SetEditorScalingEnabled(False)


def _identity(node: Any) -> Any:
    """What tells a node and its content from others; None for none."""
    if node is None:
        return None
    data = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else None
    return node.GetID(), node.GetName(), data.GetMTime() if data is not None else 0
