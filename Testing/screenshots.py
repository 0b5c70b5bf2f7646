"""python -m Testing.screenshots FOLDER: the README's pictures of the panels, from the shared data.

Splat Registration: a lung CT and its known deformation. Registration Review: that result, with its landmarks.
Dense Registration: an abdomen before and after contrast, deformed. Supervoxel Registration: an abdomen and its known
deformation, one supervoxel picked out. Neural Registration: a brain, half way. X-ray Pose: a CT and an X-ray whose
grey scale, soft tissue and instruments are not the CT's, before and after a refinement, and the review of that pose;
prints how far the bones are off in each picture. DIFFREG_DATA names the folder of the data.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from Testing.host.host import Host  # noqa: E402  (Qt reads the environment when it is imported)
from Testing.modules import MODULES, ROOT  # noqa: E402

SIZE, LARGE = (1500, 1100), (1700, 1260)
PATIENCE = 300  # seconds
QUALITY = 85  # of a picture, with which it takes a fifth of what a PNG takes
KIDNEY = (70.0, 145.0, 305.0)  # RAS mm: inside of it in the deformed abdomen


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.screenshots", description=__doc__.split(":", 1)[1])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--panels", nargs="+", choices=PANELS, default=PANELS, help="which; all without")
    parser.add_argument("--case", type=int, default=9, help="which of the twenty X-rays of the pelvis")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    data = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
    host = Host()
    host.window.show()
    for name in arguments.panels:
        PANELS[name](host, data, arguments)
        host.reset()
    host.close()
    return 0


def splat(host: Host, data: Path, arguments: argparse.Namespace) -> None:
    """Registers the two states of the lung; photographs the panel with the result, and its review."""
    data = data / "lung_ct_known_warp"
    review = open_panel(host, "RegistrationReview")
    panel = open_panel(host, "SplatRegistration")
    landmarks = np.load(data / "landmarks.npz")
    for side, name in (("fixed", "Inspiration"), ("moving", "Expiration")):
        choose_image(panel, side, data / f"{side}_ct.nii.gz", name)
        panel._parameterNode.setValue(f"{side}_landmarks", hidden_points(f"{name} landmarks", landmarks[side]))
    register(host, panel)
    photograph(host, panel, arguments.folder / "splat-lung.webp")
    host.click(panel.ui.reviewButton)
    host.click(review.ui.applyButton)
    host.wait_until(lambda: not review.busy, PATIENCE, "the end of the review")
    parameters = review._parameterNode
    parameters.map = next(m for m in type(parameters.map) if m.name == "DETERMINANT")
    parameters.compare = next(c for c in type(parameters.compare) if c.name == "THREE_BY_THREE")
    host.process(2000)
    photograph(host, review, arguments.folder / "review-lung.webp")


def dense(host: Host, data: Path, arguments: argparse.Namespace) -> None:
    """Registers two phases of contrast and photographs the panel with the result."""
    panel = open_panel(host, "DenseRegistration")
    choose_image(panel, "fixed", data / "abdomen_sibling_warp" / "fixed.nii.gz", "Contrast phase")
    choose_image(panel, "moving", data / "abdomen_ct" / "ct.nii.gz", "Abdomen")
    register(host, panel)
    photograph(host, panel, arguments.folder / "dense-abdomen.webp")


def supervoxel(host: Host, data: Path, arguments: argparse.Namespace) -> None:
    """Registers an abdomen with its deformed self, in coarse voxels, and clicks on a kidney."""
    panel = open_panel(host, "SupervoxelRegistration")
    choose_image(panel, "fixed", data / "abdomen_known_warp" / "fixed_ct.nii.gz", "Deformed abdomen")
    choose_image(panel, "moving", data / "abdomen_ct" / "ct.nii.gz", "Abdomen")
    parameters = panel._parameterNode
    parameters.preparation_spacing, parameters.preparation_box = 4.0, "96 80 88"
    parameters.segmentation_layers = 4
    register(host, panel)
    parameters.show_layers = True
    host.process(1000)
    host.view("DiffRegFixed").mrmlSliceNode().JumpSliceByOffsetting(*KIDNEY)
    host.mouse.click("DiffRegFixed", KIDNEY)
    photograph(host, panel, arguments.folder / "supervoxel-abdomen.webp")


def neural(host: Host, data: Path, arguments: argparse.Namespace) -> None:
    """Registers two brains and photographs the panel with the preview, while the field is fitted."""
    panel = open_panel(host, "NeuralRegistration")
    for side in ("fixed", "moving"):
        choose_image(panel, side, data / "brain_mr" / f"{side}_t1_2mm.nii.gz", f"{side.capitalize()} brain")
    host.process(200)
    host.click(panel.ui.applyButton)
    half = sum(map(int, panel._parameterNode.neural_iterations.split())) // 2
    host.wait_until(lambda: panel.runner.view.points > half, PATIENCE, "half of the registration")
    photograph(host, panel, arguments.folder / "neural-brain.webp")
    host.click(panel.ui.applyButton)


def xray(host: Host, data: Path, arguments: argparse.Namespace) -> None:
    """The pose of the pelvis before and after a refinement, and its review."""
    import slicer

    case = arguments.case
    review = open_panel(host, "RegistrationReview", LARGE)
    panel = open_panel(host, "XRayPose", LARGE)
    poses = np.load(data / "drr_pelvis_hard" / "poses.npz")
    points = np.load(data / "drr_pelvis_hard" / "pelvis_points.npz")
    target, start = (poses[name][case] for name in ("M_target", "M_start_near"))
    choose(host, panel, data, case)
    for node in slicer.util.getNodesByClass("vtkMRMLViewNode"):  # the box stands for nothing here
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
    panel.pose.move(start)
    host.process(2000)
    show(host, panel, arguments.folder / "xray-before.webp", target, points)
    host.click(panel.ui.refineButton)
    host.wait_until(lambda: not panel.registration.running, PATIENCE, "the end of the refinement")
    host.process(2000)
    show(host, panel, arguments.folder / "xray-after.webp", target, points)
    host.click(panel.ui.reviewButton)
    host.click(review.ui.applyButton)
    host.wait_until(lambda: not review.busy, PATIENCE, "the end of the review")
    host.process(2000)
    photograph(host, review, arguments.folder / "review-pose.webp")


PANELS = {function.__name__: function for function in (splat, dense, supervoxel, neural, xray)}


def open_panel(host: Host, name: str, size: tuple[int, int] = SIZE):
    host.window.resize(*size)
    return host.open_module(MODULES[name])


def choose_image(panel, side: str, path: Path, name: str) -> None:
    """Loads an image and chooses it as the fixed or the moving one."""
    import slicer

    panel._parameterNode.setValue(side, slicer.util.loadVolume(str(path), {"name": name, "singleFile": True}))


def hidden_points(name: str, positions: np.ndarray):
    """A list of points (N, 3) RAS mm that no view shows."""
    import slicer

    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    points.CreateDefaultDisplayNodes()
    points.GetDisplayNode().SetVisibility(False)
    slicer.util.updateMarkupsControlPointsFromArray(points, positions.astype(float))
    return points


def register(host: Host, panel) -> None:
    """Presses Apply and waits until the result is shown."""
    host.process(200)
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: panel.runner.run is None, PATIENCE, "the end of the registration")
    host.process(3000)


def photograph(host: Host, panel, path: Path) -> None:
    """Writes the window as WebP, and says what the panel has to complain of."""
    host.process(500)
    whole = path.with_suffix(".png")
    host.screenshot(whole)
    with Image.open(whole) as picture:
        picture.convert("RGB").save(path, quality=QUALITY, method=6)
    whole.unlink()
    print(f"{path}: {panel.ui.statusLabel.text or 'no complaint'}", flush=True)


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
    photograph(host, panel, path)
    bones = np.c_[points["points_ct"], np.ones(len(points["points_ct"]))].T
    off = np.linalg.norm(((panel.pose.matrix - target) @ bones)[:3], axis=0).mean()
    print(f"The bones are {off:.2f} mm off.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
