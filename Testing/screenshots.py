"""python -m Testing.screenshots FOLDER: the README's pictures of the panel X-ray Pose, from the shared pelvis.

The panel in the host with a CT and an X-ray whose grey scale, soft tissue and instruments are not the CT's: before and
after a refinement. DIFFREG_DATA names the folder of the data. Prints how far the bones are off in each picture.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from Testing.host.host import Host  # noqa: E402  (Qt reads the environment when it is imported)

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "DiffReg" / "XRayPose" / "XRayPose.py"
SIZE = 1640, 1060
PATIENCE = 300  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.screenshots", description=__doc__.split(":", 1)[1])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--case", type=int, default=9, help="which of the twenty X-rays")
    arguments = parser.parse_args()
    data = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
    host = Host()
    host.window.resize(*SIZE)
    host.window.show()
    panel = host.open_module(MODULE)
    poses = np.load(data / "drr_pelvis_hard" / "poses.npz")
    points = np.load(data / "drr_pelvis_hard" / "pelvis_points.npz")
    target, start = (poses[name][arguments.case] for name in ("M_target", "M_start_near"))
    choose(host, panel, data, arguments.case)
    panel.pose.move(start)
    host.process(2000)
    show(host, panel, arguments.folder / "xray-before.png", target, points)
    host.click(panel.ui.refineButton)
    host.wait_until(lambda: not panel.registration.running, PATIENCE, "the end of the refinement")
    host.process(2000)
    show(host, panel, arguments.folder / "xray-after.png", target, points)
    host.close()
    return 0


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
