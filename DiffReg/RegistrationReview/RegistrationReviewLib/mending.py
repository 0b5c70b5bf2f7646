"""Mending by hand: pairs in the scene, a first look at once, the whole afterwards, undone pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.export import region
from DiffRegLib.mrml.results import Output, add
from DiffRegLib.mrml.seen import defined_points, seen_points

COARSE = 4.0  # mm between the places of the first look
NAMES = {"pairs_fixed": _("Mend: fixed"), "pairs_moving": _("Mend: moving")}
PREVIEW = "DiffReg.FirstLook"
STEP_MS = 1


class Mending:
    """Follows the pairs of a parameter node. changed: called when there is something new to see, with the first look
    (a volume) or None; said: with a sentence."""

    def __init__(self, changed: Callable[[Any], None], said: Callable[[str], None]) -> None:
        self._changed, self._said = changed, said
        self._known: tuple[Any, ...] | None = None  # transform and pairs that were mended last
        self._base: Any = None  # what of the inputs is held as tensors, with what it was made from
        self._steps: Generator[None, None, None] | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(STEP_MS)
        self._timer.connect("timeout()", self._step)

    @property
    def working(self) -> bool:
        return self._steps is not None

    def stop(self) -> None:
        """What is still being computed is given up."""
        self._timer.stop()
        self._steps = None

    def close(self) -> None:
        self.stop()
        self._timer.disconnect("timeout()", self._step)

    def forget(self) -> None:
        """The inputs have changed, or the scene has."""
        self.stop()
        self._known = self._base = None

    def prepare(self, parameters: Any) -> None:
        """Reads images and transform, so that the first correction is shown as fast as the others."""
        from DiffRegLib.review import mend  # noqa: F401  brings what a correction needs

        try:
            self._prepared(parameters)
        except RegistrationError as error:
            self._said(str(error))

    def update(self, parameters: Any) -> None:
        """Mends where pairs were added, moved or removed since."""
        pairs = pairs_of(parameters)
        state = (parameters.transform, parameters.moving, parameters.reach, None if pairs is None else pairs.tobytes())
        if state == self._known or parameters.transform is None:
            return
        first, self._known = self._known is None, state
        self.stop()
        if pairs is None:
            if not first:
                self._said("")
                self._changed(None)
            return
        self._mend(parameters, pairs)

    def _mend(self, parameters: Any, pairs: np.ndarray) -> None:
        """The first look now, the rest in steps between which the window lives on."""
        from DiffRegLib.review.mend import correct, mended_field

        try:
            base = self._prepared(parameters)
            marks = _marks(pairs)
            spline = correct(base.transform, marks, parameters.reach)
            if base.moving is not None:
                coarse = mended_field(base.coarse, spline)
                seen = base.moving.resample(base.coarse.image, coarse, outside=base.least)
                self._changed(_preview(seen, parameters))
        except RegistrationError as error:
            self._said(str(error))
            self._changed(None)
            return
        count = len(pairs)
        self._said(_("{n} pairs; the whole image follows.").format(n=count))
        self._steps = self._whole(parameters, base, marks)
        self._timer.start()

    def _prepared(self, parameters: Any) -> Any:
        """Transform, moving image and coarse field as tensors; made once for the same inputs."""
        key = (parameters.transform, parameters.transform.GetMTime(), parameters.moving, parameters.fixed)
        if self._base is None or self._base.key != key:
            self._base = _Base(key, parameters)
        return self._base

    def _whole(self, parameters: Any, base: Any, marks: Any) -> Generator[None, None, None]:
        """Transform, inverse and warped volume into the scene."""
        from DiffRegLib.mrml.convert import from_image, from_transform, to_transform
        from DiffRegLib.review.mend import mend

        yield
        inverse = None
        if parameters.inverse is not None:
            inverse = to_transform(parameters.inverse, region(parameters.fixed))
        mended = mend(base.transform, marks, parameters.reach, inverse)
        yield
        name = parameters.transform.GetName()
        outputs = {"mended": Output(from_transform(mended.transform, f"{name} mended"), parameters.mended)}
        if mended.inverse is not None:
            node = from_transform(mended.inverse, f"{name} mended inverse")
            outputs["mended_inverse"] = Output(node, parameters.mended_inverse)
        yield
        if base.moving is not None:
            slabs = []
            for slab in base.slabs():
                slabs.append(base.moving.resample(slab, mended.transform, outside=base.least).data)
                yield
            warped = from_image(base.joined(slabs), f"{parameters.moving.GetName()} by {name} mended")
            outputs["warped"] = Output(warped, parameters.warped, parameters.moving)
        placed = add(slicer.mrmlScene, outputs)
        for role, node in placed.items():
            parameters.setValue(role, node)
        self._said(
            _("{n} pairs, met within {mm:.2f} mm; {name} is in the scene.").format(
                n=len(marks.fixed), mm=mended.residual_mm, name=f'"{placed["mended"].GetName()}"'
            )
        )
        self._changed(None)

    def _step(self) -> None:
        if self._steps is None:
            return
        try:
            next(self._steps)
        except StopIteration:
            self._steps = None
            return
        except RegistrationError as error:
            self._steps = None
            self._said(str(error))
            return
        self._timer.start()


class _Base:
    """Of one pair of images and one transform, as tensors in RAS mm."""

    def __init__(self, key: tuple[Any, ...], parameters: Any) -> None:
        from DiffRegLib.mrml.convert import to_image, to_transform

        self.key = key
        self.transform = to_transform(parameters.transform, region(parameters.fixed))
        self.moving = to_image(parameters.moving) if parameters.moving is not None else None
        self.least = float(self.moving.data.min()) if self.moving is not None else 0.0
        self.fixed = to_image(parameters.fixed).geometry
        self.coarse = self.transform.displacement(self.fixed.resized(max(COARSE, float(self.fixed.spacing.max()))))

    def slabs(self) -> list[Any]:
        """The fixed grid in pieces of some slices."""
        from DiffRegLib.geometry import Geometry

        depth, height, width = self.fixed.shape
        at_once = max(1, (1 << 18) // (height * width))
        found = []
        for first in range(0, depth, at_once):
            affine = self.fixed.affine.clone()
            affine[:3, 3] = affine[:3, 3] + affine[:3, 2] * first
            found.append(Geometry((min(at_once, depth - first), height, width), affine))
        return found

    def joined(self, slabs: list[Any]) -> Any:
        import torch

        from DiffRegLib.image import Image

        return Image(torch.cat(slabs, 1), self.fixed.affine)


def pairs_of(parameters: Any) -> np.ndarray | None:
    """(N, 2, 3) RAS mm: the placed pairs, fixed and moving; None where there is none."""
    nodes = parameters.pairs_fixed, parameters.pairs_moving
    if any(node is None or not defined_points(node) for node in nodes):
        return None
    fixed, moving = (seen_points(node).positions for node in nodes)
    count = min(len(fixed), len(moving))
    return np.stack((fixed[:count], moving[:count]), 1)


def pair_nodes(parameters: Any) -> tuple[Any, Any]:
    """Both lists of points, made where there are none."""
    for role, name in NAMES.items():
        if parameters.getValue(role) is None:
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
            node.CreateDefaultDisplayNodes()
            parameters.setValue(role, node)
    return parameters.pairs_fixed, parameters.pairs_moving


def undo(parameters: Any) -> None:
    """Removes the last pair, or the half of one that was begun."""
    nodes = [node for node in (parameters.pairs_fixed, parameters.pairs_moving) if node is not None]
    most = max((node.GetNumberOfControlPoints() for node in nodes), default=0)
    for node in nodes:
        if most and node.GetNumberOfControlPoints() == most:
            node.RemoveNthControlPoint(most - 1)


def _marks(pairs: np.ndarray) -> Any:
    import torch

    from DiffRegLib.review.case import LandmarkPairs

    return LandmarkPairs(torch.from_numpy(pairs[:, 0].copy()), torch.from_numpy(pairs[:, 1].copy()))


def _preview(seen: Any, parameters: Any) -> Any:
    """The first look as a hidden volume of the scene."""
    from DiffRegLib.mrml.convert import from_image

    node = slicer.mrmlScene.GetSingletonNode(PREVIEW, "vtkMRMLScalarVolumeNode")
    fresh = from_image(seen, _("First look"))
    if node is None:
        fresh.SetSingletonTag(PREVIEW)
        fresh.SetHideFromEditors(True)
        fresh.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(fresh)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
    else:
        node.SetAndObserveImageData(fresh.GetImageData())
        node.SetIJKToRASMatrix(arrays.array_to_matrix(arrays.ijk_to_ras(fresh)))
    like = parameters.moving.GetDisplayNode()
    if like is not None:
        node.GetDisplayNode().CopyContent(like)
    return node


def remove_first_look() -> None:
    node = slicer.mrmlScene.GetSingletonNode(PREVIEW, "vtkMRMLScalarVolumeNode")
    if node is not None:
        display = node.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(node)
        if display is not None:
            slicer.mrmlScene.RemoveNode(display)
