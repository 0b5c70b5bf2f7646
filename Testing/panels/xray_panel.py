"""The panel X-ray Pose in the host: a small CT, X-rays of it at a known pose, and what a person does with them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from Testing.modules import MODULES

CENTER = np.array([12.0, -20.0, 30.0])  # of the CT, RAS mm
TRUTH = (4.0, -3.0, 5.0, 6.0, 8.0, -5.0)  # degrees and mm about the middle of the CT
SIZE = (80, 96)  # rows and columns of the X-rays
RIM = 1.02  # of a view that shows a whole X-ray
SECONDS = 60.0  # for pictures on a busy machine
NUMBERS = ("rotationX", "rotationY", "rotationZ", "shiftR", "shiftA", "shiftS")


@dataclass
class Scene:
    """The nodes, the cameras of the X-rays, the CT as attenuation a mm, and the true pose (4,4)."""

    ct: Any
    xrays: list[Any]
    cameras: list[Any]
    volume: Any
    truth: np.ndarray

    def drr(self, pose, view=0):
        """(rows, columns) line integrals at a pose (4,4), from the library's operator."""
        return self._project(pose, view)[0, 0].numpy()

    def reference(self, pose, pixels, view=0):
        """(P,) line integrals at pixels (P,2), row and column, from the operator's plain formula, which is slow."""
        import torch

        return self._project(pose, view, pixels=torch.as_tensor(pixels), backend="reference")[0, 0].numpy()

    def _project(self, pose, view, **how):
        import torch

        from DiffRegLib.radiographs.projection import project

        return project(self.volume, torch.as_tensor(np.array(pose)), self.cameras[view], **how)


def open_panel(host, bones=True):
    """The module's Python widget. bones: whether they are rendered in 3D, which takes time."""
    panel = host.open_module(MODULES["XRayPose"])
    parameters(panel).show_volume = bones
    return panel


def parameters(panel):
    return panel._parameterNode


def options(**changes):
    """How the X-rays were taken, with some settings changed; see `CArmOptions`."""
    from DiffRegLib.radiographs.options import CArmOptions

    return CArmOptions(**{"distance": 1000.0, "isocenter_distance": 650.0, "pixel_width": 2.5} | changes)


def choose(panel, carms=None, size=SIZE, marks=()):
    """Adds the CT and one X-ray for each of `carms` (one as `options` has it), chooses them, and types the C-arm.

    marks: (column, row) of pixels of every X-ray that are made bright, each with its eight neighbors.
    """
    import torch

    from DiffRegLib.image import Image
    from DiffRegLib.radiographs.attenuation import attenuation
    from DiffRegLib.radiographs.carm import camera_of
    from DiffRegLib.transforms import rigid
    from XRayPoseLib import block, carm

    carms = carms or [options()]
    values, chosen = block.body(), parameters(panel)
    affine = np.diag([block.VOXEL] * 3 + [1.0])
    affine[:3, 3] = CENTER - block.VOXEL * (block.SIZE - 1) / 2
    ct = slicer.util.addVolumeFromArray(values, ijkToRAS=affine, name="CT of a block")
    center, numbers = torch.from_numpy(CENTER), torch.tensor(TRUTH, dtype=torch.float64)
    truth = rigid(numbers[:3], numbers[3:], center).matrix.numpy()
    volume = attenuation(Image(torch.from_numpy(values)[None], torch.from_numpy(affine)))
    scene = Scene(ct, [], [camera_of(c, size, center) for c in carms], volume, truth)
    for view in range(len(carms)):
        xray = scene.drr(truth, view)
        for column, row in marks:
            xray[row - 1 : row + 2, column - 1 : column + 2] = 2 * xray.max()
        scene.xrays.append(slicer.util.addVolumeFromArray(xray[None], name=f"X-ray {view + 1} of a block"))
    chosen.ct = ct
    for number, (node, settings) in enumerate(zip(scene.xrays, carms), 1):
        chosen.setValue(f"xray_{number}", node)
        carm.write(chosen, number, settings)
    chosen.imaging_line_integrals = True
    return scene


def go_live(host, panel):
    """Presses Live radiograph and waits for whole pictures."""
    host.click(panel.ui.liveButton)
    assert panel.session.running, panel.ui.statusLabel.text
    rest(host, panel)


def rest(host, panel):
    """Waits until the CT rests and its pictures are whole."""
    host.wait_until(lambda: panel.session.view.still, SECONDS, "rest")
    host.process(30)


def over(host, panel, name):
    """Chooses what lies over the X-ray by the name of a value of `Over`."""
    from XRayPoseLib.parameters import Over

    host.choose(panel.ui.overComboBox, Over[name].label())
    host.process(50)


def picture(view):
    """(rows, columns): the volume that lies over the X-ray in a slice view, or None."""
    node = slicer.mrmlScene.GetNodeByID(_composite(view).GetForegroundVolumeID() or "")
    return None if node is None else slicer.util.arrayFromVolume(node)[0]


def place(host, view, pixel, size=SIZE):
    """(column, row) on the screen of a pixel (column, row) of an X-ray that lies upright in the middle of its view."""
    scale, middle, center = _fitted(host, view, size)
    return tuple(np.rint(middle + (np.asarray(pixel) - center) * scale).astype(int).tolist())


def pixel_at(host, view, place, size=SIZE):
    """(column, row) of the X-ray at a place on the screen: the inverse of `place`, not rounded."""
    scale, middle, center = _fitted(host, view, size)
    return tuple(((np.asarray(place) - middle) / scale + center).tolist())


def _fitted(host, view, size):
    """Screen pixels a pixel of the X-ray, with the rim that is left around it; the middles of view and image.

    VTK counts the rows of the screen from below, and Slicer puts the middle of an even number at its half.
    """
    widget, (rows, columns) = host.view(view), size
    scale = min(widget.width / columns, widget.height / rows) / RIM
    return scale, np.array([widget.width / 2, widget.height / 2 - 1]), np.array([(columns - 1) / 2, (rows - 1) / 2])


def window(image):
    """What is black and white: percentiles 1 and 99.5, and nothing above what anatomy reaches (2.5 quartile ranges)."""
    low, first, third, high = np.quantile(image, (0.01, 0.25, 0.75, 0.995))
    return low, min(high, third + 2.5 * (third - first))


def gray(image):
    """(rows, columns) 0 to 255 as the screen shows an image."""
    low, high = window(image)
    return 255 * np.clip((image - low) / (high - low), 0, 1)


def paste(host, panel, text):
    """Types a pose into the line for it and presses Return."""
    from PySide6 import QtCore, QtTest

    line = panel.ui.pasteLineEdit
    line.setFocus()
    line.selectAll()
    QtTest.QTest.keyClicks(line, text)
    QtTest.QTest.keyClick(line, QtCore.Qt.Key.Key_Return)
    host.process()
    rest(host, panel)


def paste_truth(host, panel):
    paste(host, panel, " ".join(map(str, TRUTH)))


def numbers(panel):
    """The six numbers on the sliders."""
    return np.array([getattr(panel.ui, f"{name}Slider").value for name in NUMBERS])


def corner_error(pose, other):
    """The largest distance in mm between the places of the corners of a block of 100 mm in the CT at two poses."""
    corners = np.array([[x, y, z] for x in (-50, 50) for y in (-50, 50) for z in (-50, 50)]) + CENTER
    homogeneous = np.c_[corners, np.ones(8)].T
    return float(np.linalg.norm(((np.asarray(pose) - other) @ homogeneous)[:3], axis=0).max())


def node_names():
    """Class and name of every node in the scene."""
    nodes = [slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())]
    return sorted(f"{node.GetClassName()} {node.GetName()}" for node in nodes)


def _composite(view):
    found = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return next(node for node in found if node.GetLayoutName() == view)
