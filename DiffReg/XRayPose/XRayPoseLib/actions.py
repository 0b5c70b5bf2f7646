"""What the buttons of the sections Inputs, C-arm and Landmarks do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.panel import packages
from DiffRegLib.mrml.xray.seen import has_dicom
from XRayPoseLib import carm, landmarks
from XRayPoseLib.parameters import xrays


class Actions:
    """Connects the buttons. parameters, pose, session: give those of the panel as they are now.

    attempt: runs an action, tells under the buttons what is wrong or what it returns, and brings the panel up to date.
    """

    def __init__(
        self,
        ui: Any,
        parameters: Callable[[], Any],
        pose: Callable[[], Any],
        session: Callable[[], Any],
        attempt: Callable[[Callable[[], str | None]], None],
    ) -> None:
        self._ui, self._parameters, self._pose, self._session, self._attempt = ui, parameters, pose, session, attempt
        self._known: set[tuple[int, str]] = set()  # X-rays that were looked at
        ui.dicomButton.connect("clicked(bool)", lambda on: attempt(self._from_dicom))
        ui.presetComboBox.connect("activated(int)", lambda index: attempt(lambda: self._preset(index)))
        ui.partNameComboBox.connect("activated(int)", self._part)
        ui.geometryPathLineEdit.connect("currentPathChanged(QString)", self._geometry)
        ui.placeLandmarksButton.connect("clicked(bool)", lambda on: attempt(lambda: self._place("landmarks", on)))
        ui.placeClicksButton.connect("clicked(bool)", lambda on: attempt(lambda: self._place("clicks", on)))
        ui.landmarkPoseButton.connect("clicked(bool)", lambda on: attempt(self._solve))

    def follow(self) -> None:
        """Reads the DICOM tags of an X-ray that has just been chosen and whose C-arm nobody has typed yet."""
        chosen = {(number, node.GetID()) for number, node in xrays(self._parameters())}
        new, self._known = chosen - self._known, chosen
        for number, node in xrays(self._parameters()):
            typed = self._parameters().getValue(f"view_{number}_distance") > 0
            ready = self._parameters().ct is not None and not packages.missing()
            if (number, node.GetID()) in new and not typed and has_dicom(node):
                if not ready:
                    self._known.discard((number, node.GetID()))
                    continue
                self._attempt(self._from_dicom)
                return

    def _from_dicom(self) -> None:
        faults = carm.from_dicom(self._parameters())
        if faults:
            raise RegistrationError(" ".join(faults))

    def _preset(self, index: int) -> None:
        """The first entry stands for none."""
        if index > 0:
            carm.apply_preset(self._parameters(), list(carm.PRESETS)[index - 1])
            self._ui.presetComboBox.currentIndex = 0

    def _part(self, index: int) -> None:
        self._parameters().part_name = str(self._ui.partNameComboBox.itemData(index) or "")

    def _geometry(self, path: str) -> None:
        """Only a whole name is read, not every letter of it."""
        if Path(path).is_file():
            self._attempt(lambda: self._read_geometry(path))

    def _read_geometry(self, path: str) -> str:
        """The pose of the patient in the file is taken where there is none yet."""
        matrix = carm.from_file(self._parameters(), path)
        if matrix is None:
            return ""
        if self._parameters().pose is not None:
            return _("The pose in the file was not taken, because there is one already.")
        self._pose().ensure()
        self._pose().move(matrix)
        return ""

    def _place(self, role: str, on: bool) -> None:
        self._pose().ensure()
        landmarks.place(self._parameters(), role, on)

    def _solve(self) -> str:
        found = landmarks.solve(self._parameters(), self._session().view.views[0].camera)
        self._pose().settle()
        self._pose().move(found.pose.matrix.numpy())
        self._pose().settle()
        text = _("The landmarks are {rms:.1f} pixels (rms) from their clicks.").format(rms=found.rms)
        twin = _("Another pose fits nearly as well: place more of them.") if found.ambiguous else ""
        return f"{text} {twin}".strip()
