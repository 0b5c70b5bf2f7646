"""How fast the panel Registration Review is on a field of 256^3 voxels, everything drawn, in the host.

    python Testing/benchmarks/review.py [--size N] [--json FILE]

The moving image is a known motion of waves in a ball; the transform is that motion, on the grid of the images, with
its inverse on both sides' labels and 300 landmarks. The review lasts from the button to numbers, maps and report. A
change of the comparison or of the map lasts until all views that show it have been drawn, in software where there is no
GPU; each is changed to twice, and the second time counts, for the first makes views. A correction lasts from the second
point of a pair to the drawn first look, and until the whole image is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from Testing.host.host import Host  # noqa: E402  (after the folders that it is found in)
from Testing.modules import MODULES  # noqa: E402

PATIENCE = 300.0  # seconds
AMPLITUDE, WAVELENGTH = 8.0, 188.0  # mm, of the motion
LANDMARKS = 300


@dataclass(frozen=True)
class Line:
    """Seconds on the clock, and those of this process's own computing."""

    work: str
    seconds: float
    cpu_seconds: float


class Watch:
    """Measures one piece of work after the other."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def take(self, work: str, action) -> None:
        begin, busy = time.perf_counter(), time.process_time()
        action()
        self.lines.append(Line(work, time.perf_counter() - begin, time.process_time() - busy))
        print(
            f"{work:45s} {self.lines[-1].seconds:7.3f} s on the clock, {self.lines[-1].cpu_seconds:7.3f} s here",
            flush=True,
        )


def motion(places: np.ndarray) -> np.ndarray:
    """(..., 3) mm: the displacement of places (..., 3) in mm about the middle."""
    phase = places * (2 * np.pi / WAVELENGTH)
    return AMPLITUDE * np.stack((np.sin(phase[..., 1]), np.sin(phase[..., 2]), np.sin(phase[..., 0])), -1)


def picture(places: np.ndarray) -> np.ndarray:
    """Waves in a ball, in gray values."""
    x, y, z = np.moveaxis(places, -1, 0)
    waves = 500 + 200 * np.sin(x / 9) + 150 * np.cos(y / 11) + 150 * np.sin(z / 10)
    return np.where(np.linalg.norm(places, axis=-1) < 110, waves, -500).astype(np.float32)


def choose(panel, size: int) -> None:
    """Makes both images, labels, landmarks, and the transform with its inverse, and chooses them."""
    import slicer

    from DiffRegLib.mrml.transforms import Grid, transform_node

    affine = np.eye(4)
    affine[:3, 3] = -(size - 1) / 2
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2
    places = np.stack(np.meshgrid(axis, axis, axis, indexing="ij")[::-1], -1)
    parameters, moved = panel._parameterNode, motion(places).astype(np.float32)
    for side, at in (("fixed", places + moved), ("moving", places)):
        image = picture(at)
        parameters.setValue(side, slicer.util.addVolumeFromArray(image, ijkToRAS=affine, name=side.capitalize()))
        labels = slicer.util.addVolumeFromArray(
            (image > 0).astype(np.int16) + (image > 600),
            ijkToRAS=affine,
            name=f"{side} labels",
            nodeClassName="vtkMRMLLabelMapVolumeNode",
        )
        parameters.setValue(f"{side}_labels", labels)
    for name, field in (("transform", moved), ("inverse", -moved)):
        node = transform_node([Grid(np.moveaxis(field, -1, 0).copy(), affine)], name.capitalize())
        parameters.setValue(name, slicer.mrmlScene.AddNode(node))
    marks = np.random.default_rng(0).uniform(-60, 60, (LANDMARKS, 3))
    for side, positions in (("fixed", marks), ("moving", marks + motion(marks))):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", f"{side} landmarks")
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility(False)
        slicer.util.updateMarkupsControlPointsFromArray(node, positions)
        parameters.setValue(f"{side}_landmarks", node)


def draw(host: Host) -> None:
    """Draws every slice view that is seen."""
    host.process()
    for name in host.app.layoutManager().sliceViewNames():
        if host.view(name).isVisible():
            host.view(name).forceRender()


def review(host: Host, panel) -> None:
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: not panel.busy, PATIENCE, "the end of the review")
    assert not panel.ui.statusLabel.text, panel.ui.statusLabel.text


def switch(host: Host, panel, watch: Watch) -> None:
    """Every comparison and every map, and the transform as Slicer draws it."""
    parameters = panel._parameterNode
    for setting in ("compare", "map", "look"):
        start = parameters.getValue(setting)
        for choice in type(start):
            for again in (False, True):
                parameters.setValue(setting, start)
                draw(host)
                change = lambda choice=choice, setting=setting: parameters.setValue(setting, choice)  # noqa: E731
                if again and choice is not start:
                    watch.take(f"{setting}: {choice.label()}", lambda change=change: (change(), draw(host)))
                else:
                    change()
                    draw(host)
        parameters.setValue(setting, start)
        draw(host)


def correct(host: Host, panel, watch: Watch) -> None:
    """Two pairs: the first one reads the images, the second one is as every further one."""
    from RegistrationReviewLib.mending import pair_nodes

    fixed, moving = pair_nodes(panel._parameterNode)
    for number, place in enumerate(np.array([[10.0, -20.0, 5.0], [-30.0, 40.0, 20.0]]), 1):
        fixed.AddControlPoint(*place)
        target = place + motion(place) + (3.0, 0.0, 0.0)
        watch.take(f"pair {number}: first look", lambda target=target: (moving.AddControlPoint(*target), draw(host)))
        whole = lambda: host.wait_until(lambda: not panel.mending.working, PATIENCE, "the whole image")  # noqa: E731
        watch.take(f"pair {number}: whole image", whole)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--size", type=int, default=256, help="voxels along a side")
    parser.add_argument("--json", type=Path, help="where to write the lines")
    arguments = parser.parse_args()
    host, watch = Host(), Watch()
    host.window.resize(1500, 1030)
    host.window.show()
    panel = host.open_module(MODULES["RegistrationReview"])
    choose(panel, arguments.size)
    watch.take("review with maps and report", lambda: review(host, panel))
    draw(host)
    switch(host, panel, watch)
    correct(host, panel, watch)
    host.close()
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(line) for line in watch.lines], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
