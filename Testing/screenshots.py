"""python -m Testing.screenshots FOLDER: the README's pictures of the panels, from the shared data.

Splat Registration: a lung CT and its known deformation. Neural Registration: a brain, half way.
X-ray Pose: a CT and an X-ray whose grey scale, soft tissue and
instruments are not the CT's, before and after a refinement; prints how far the bones are off in each picture.
DIFFREG_DATA names the folder of the data.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from Testing.host.host import Host  # noqa: E402  (Qt reads the environment when it is imported)
from Testing.modules import MODULES, ROOT  # noqa: E402

SIZES = {"SplatRegistration": (1500, 1030), "NeuralRegistration": (1500, 1030), "XRayPose": (1700, 1260)}
PATIENCE = 300  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.screenshots", description=__doc__.split(":", 1)[1])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--case", type=int, default=9, help="which of the twenty X-rays of the pelvis")
    arguments = parser.parse_args()
    data = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
    host = Host()
    host.window.show()
    splat(host, data / "lung_ct_known_warp", arguments.folder / "splat-lung.png")
    host.reset()
    neural(host, data / "brain_mr", arguments.folder / "neural-brain.png")
    host.reset()
    xray(host, data, arguments.case, arguments.folder)
    host.close()
    return 0


def splat(host: Host, data: Path, path: Path) -> None:
    """Registers the two states of the lung and photographs the panel with the result."""
    import slicer

    panel = open_panel(host, "SplatRegistration")
    parameters, landmarks = panel._parameterNode, np.load(data / "landmarks.npz")
    for side, name in (("fixed", "Inspiration"), ("moving", "Expiration")):
        volume = slicer.util.loadVolume(str(data / f"{side}_ct.nii.gz"), {"name": name, "singleFile": True})
        points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", f"{name} landmarks")
        points.CreateDefaultDisplayNodes()
        points.GetDisplayNode().SetVisibility(False)
        slicer.util.updateMarkupsControlPointsFromArray(points, landmarks[side].astype(float))
        parameters.setValue(side, volume)
        parameters.setValue(f"{side}_landmarks", points)
    host.process(200)
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: panel.runner.run is None, PATIENCE, "the end of the registration")
    host.process(3000)
    host.screenshot(path)
    print(f"{path}: {panel.ui.statusLabel.text or 'no complaint'}")


def xray(host: Host, data: Path, case: int, folder: Path) -> None:
    """The pose of the pelvis before and after a refinement."""
    panel = open_panel(host, "XRayPose")
    poses = np.load(data / "drr_pelvis_hard" / "poses.npz")
    points = np.load(data / "drr_pelvis_hard" / "pelvis_points.npz")
    target, start = (poses[name][case] for name in ("M_target", "M_start_near"))
    choose(host, panel, data, case)
    panel.pose.move(start)
    host.process(2000)
    show(host, panel, folder / "xray-before.png", target, points)
    host.click(panel.ui.refineButton)
    host.wait_until(lambda: not panel.registration.running, PATIENCE, "the end of the refinement")
    host.process(2000)
    show(host, panel, folder / "xray-after.png", target, points)


def neural(host: Host, data: Path, path: Path) -> None:
    """Registers two brains and photographs the panel with the preview, while the field is fitted."""
    import slicer

    panel = open_panel(host, "NeuralRegistration")
    for side in ("fixed", "moving"):
        properties = {"name": f"{side.capitalize()} brain", "singleFile": True}
        panel._parameterNode.setValue(side, slicer.util.loadVolume(str(data / f"{side}_t1_2mm.nii.gz"), properties))
    host.process(200)
    host.click(panel.ui.applyButton)
    half = sum(map(int, panel._parameterNode.neural_iterations.split())) // 2
    host.wait_until(lambda: panel.runner.view.points > half, PATIENCE, "half of the registration")
    host.process(500)
    host.screenshot(path)
    host.click(panel.ui.applyButton)


def open_panel(host: Host, name: str):
    host.window.resize(*SIZES[name])
    return host.open_module(MODULES[name])


def choose(host: Host, panel, data: Path, case: int) -> None:
    """The CT, the X-ray and its C-arm, and the contours of the CT over the X-ray."""
    import slicer

    parameters = panel._parameterNode
    parameters.ct = slicer.util.loadVolume(str(data / "drr_pelvis" / "ct128.nii.gz"), {"name": "Pelvis CT"})
    image = np.load(data / "drr_pelvis_hard" / "xrays256.npz")["image"][case].astype(np.float32)
    parameters.xray_1 = slicer.util.addVolumeFromArray(image[None], name="X-ray")
    panel.ui.geometryPathLineEdit.currentPath = str(data / "drr_pelvis" / "geometry.json")
    parameters.over = next(mode for mode in type(parameters.over) if mode.name == "CONTOURS")
    host.process(200)
    host.click(panel.ui.liveButton)
    host.process(1500)


def show(host: Host, panel, path: Path, target: np.ndarray, points) -> None:
    """One picture: what was asked above, what was found below."""
    for section in ("inputs", "carm"):
        getattr(panel.ui, f"{section}CollapsibleButton").collapsed = True
    host.process(300)
    host.screenshot(path)
    bones = np.c_[points["points_ct"], np.ones(len(points["points_ct"]))].T
    off = np.linalg.norm(((panel.pose.matrix - target) @ bones)[:3], axis=0).mean()
    print(f"{path}: the bones are {off:.2f} mm off; {panel.ui.statusLabel.text or 'no complaint'}")


if __name__ == "__main__":
    sys.exit(main())
