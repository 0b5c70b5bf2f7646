"""One X-ray in its slice view: the X-ray, what is laid over it, the C-arm in 3D, and a sentence on the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import qt
import slicer
import vtk

from DiffRegLib.camera import Camera
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.xray.beam import Beam
from DiffRegLib.mrml.xray.detector import show_detector, slice_to_ras
from DiffRegLib.mrml.xray.layout import composite_of, slice_node
from DiffRegLib.mrml.xray.pictures import GRAY, RED, Picture
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.review.overlay import display, overlay, reduced

HELD = 1e-3  # mm by which the slice may leave the detector, on which alone there is something to see
TEXT_COLOR, TEXT_SIZE = (1.0, 0.85, 0.2), 16


class XRayView:
    """Shows one X-ray and the CT over it; `remove` takes everything out of the scene again.

    name: of the X-ray; view: the layout name of its slice view; color: of its C-arm, 0 to 1.
    """

    def __init__(self, xray: Radiograph, name: str, view: str, color: tuple[float, float, float]) -> None:
        self.xray, self.view, self._camera = xray, view, xray.camera
        gray = display(xray.image.numpy(), xray.inside.numpy())
        self._image, self._over = Picture(f"{name} on its detector"), Picture(f"CT over {name}")
        self._image.put(gray, xray.camera)
        self._beam = Beam(name, color)
        self._beam.show(xray.camera, np.rint(255 * gray).astype(np.uint8))
        self._sizes: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self._text = vtk.vtkTextActor()
        self._text.GetTextProperty().SetFontSize(TEXT_SIZE)
        self._text.GetTextProperty().SetColor(*TEXT_COLOR)
        self._text.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        self._text.SetPosition(0.04, 0.9)
        self._shown = ""
        self._fit_timer = qt.QTimer()
        self._fit_timer.setSingleShot(True)
        self._fit_timer.connect("timeout()", self.fit)
        self._enter()

    @property
    def camera(self) -> Camera:
        """Of the whole X-ray."""
        return self._camera

    def fit(self) -> None:
        """Turns the slice view to the detector and fits the image into it; again whenever its size or slice changes."""
        node = slice_node(self.view)
        self._fitted = node.GetDimensions()
        show_detector(node, self._camera)

    def show(self, mode: str, opacity: float, drr: np.ndarray, camera: Camera) -> None:
        """Lays line integrals (rows, columns) on the pixels of `camera` over the X-ray; no mode: the X-ray alone."""
        composite = composite_of(self.view)
        if mode:
            image, mask = self._reduced(camera.size, abs(camera.spacing[0] / self._camera.spacing[0]))
            laid = overlay(mode, drr, image, mask)
            self._over.show(laid, camera)
        self._image.color(RED if mode == "red-cyan" else GRAY, 0.0, 1.0)
        changing = composite.StartModify()
        composite.SetForegroundVolumeID(self._over.node.GetID() if mode else None)
        composite.SetForegroundOpacity(opacity if mode == "blend" else 1.0)
        composite.SetCompositing(composite.Add if mode and laid.add else composite.Alpha)
        composite.EndModify(changing)

    def say(self, sentence: str) -> None:
        """Writes a sentence on the picture and takes the CT off it; an empty one takes the words away."""
        if sentence == self._shown:
            return
        self._shown = sentence
        self._text.SetInput(sentence)
        if sentence:
            composite_of(self.view).SetForegroundVolumeID(None)
        widget = slicer.app.layoutManager().sliceWidget(self.view)
        if widget is not None:
            widget.sliceView().scheduleRender()

    @property
    def sentence(self) -> str:
        """What is written on the picture."""
        return self._shown

    def set_beam(self, visible: bool) -> None:
        """Switches the C-arm in the 3D view."""
        self._beam.set_visible(visible)

    def remove(self) -> None:
        """Takes everything out of the view and of the scene."""
        self._fit_timer.stop()
        self._fit_timer.disconnect("timeout()", self.fit)
        node, tag = self._observed
        node.RemoveObserver(tag)
        widget = slicer.app.layoutManager().sliceWidget(self.view)
        if widget is not None:
            _renderer(widget).RemoveViewProp(self._text)
        composite = composite_of(self.view)
        composite.SetBackgroundVolumeID(None)
        composite.SetForegroundVolumeID(None)
        composite.SetCompositing(composite.Alpha)
        for part in (self._image, self._over, self._beam):
            part.remove()

    def _enter(self) -> None:
        composite = composite_of(self.view)
        composite.SetBackgroundVolumeID(self._image.node.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
        self._image.color(GRAY, 0.0, 1.0)
        node = slice_node(self.view)
        self._observed = node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._changed)
        _renderer(slicer.app.layoutManager().sliceWidget(self.view)).AddViewProp(self._text)
        self.fit()

    def _changed(self, node: Any, event: str) -> None:
        away = np.abs(arrays.matrix_to_array(node.GetSliceToRAS()) - slice_to_ras(self._camera)).max() > HELD
        if away or node.GetDimensions() != self._fitted:
            self._fitted = node.GetDimensions()
            self._fit_timer.start()  # not now, while the slice logic is in the middle of the change

    def _reduced(self, size: tuple[int, int], factor: float) -> tuple[np.ndarray, np.ndarray]:
        """The X-ray and its mask with pixels `factor` times as wide."""
        if size not in self._sizes:
            image, share = (reduced(t.float().numpy(), factor) for t in (self.xray.image, self.xray.inside))
            self._sizes[size] = image, share > 0.99
        return self._sizes[size]


def _renderer(widget: Any) -> Any:
    return widget.sliceView().renderWindow().GetRenderers().GetFirstRenderer()
