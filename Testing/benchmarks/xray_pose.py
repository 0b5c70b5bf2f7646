"""How fast the panel X-ray Pose follows a mouse that drags the CT, everything drawn: frames a second in the host.

    python Testing/benchmarks/xray_pose.py [--json FILE]

The CT is the analytic one of `live.py`, 256^3 voxels, its X-rays have 256 x 256 pixels. A frame lasts from the mouse's
move until the X-ray's view has been drawn with the radiograph of the new pose; 3D view and slices are drawn meanwhile
as the host draws them, in software where there is no GPU. After the button is let go: until the whole picture is there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from Testing.host.host import Host  # noqa: E402  (after the folders that it is found in)
from Testing.modules import MODULES  # noqa: E402

FRAMES, PATIENCE = 60, 20.0  # of a drag; seconds
PATH = [(200 + 3 * n, 260 + 2 * (n % 20)) for n in range(FRAMES + 1)]  # pixels of the view


@dataclass(frozen=True)
class Line:
    """Frames a second, median and slowest ms of a frame, pixels side by side in it, ms from letting go to the whole."""

    work: str
    per_second: float
    ms: float
    slowest_ms: float
    width: int
    whole_ms: float


def choose(host: Host, panel, count: int) -> None:
    """Puts the CT and its X-rays into the scene and chooses them."""
    import slicer
    import torch
    from live import cameras, patient

    from DiffRegLib.radiographs.carm import options_of
    from DiffRegLib.radiographs.projection import project
    from DiffRegLib.transforms import rigid
    from XRayPoseLib import carm

    volume, parameters = patient(), panel._parameterNode
    hounsfield = ((volume.data[0] / 0.02 - 1) * 1000).numpy()
    parameters.ct = slicer.util.addVolumeFromArray(hounsfield, ijkToRAS=volume.affine.numpy(), name="CT")
    pose = rigid(torch.tensor([4.0, -6.0, 5.0]), torch.tensor([12.0, 5.0, -8.0])).matrix
    for number, camera in enumerate(cameras(count), 1):
        image = project(volume, pose, camera)[0].numpy()
        node = slicer.util.addVolumeFromArray(image, name=f"X-ray {number}")
        parameters.setValue(f"xray_{number}", node)
        carm.write(parameters, number, options_of(camera, torch.zeros(3, dtype=torch.float64)))
    host.process(100)


def drag(host: Host, panel, work: str) -> Line:
    """One drag along the path, from the same pose each time."""
    from PySide6.QtCore import QEvent

    mouse, view, session = host.mouse, host.view("XRay1"), panel.session
    panel.pose.move(np.eye(4))
    host.process(1000)
    mouse.move("XRay1", PATH[0])
    mouse._send("XRay1", PATH[0], QEvent.Type.MouseButtonPress, "Left")
    times, width = [], 0
    for place in PATH[1:]:
        before, begin = session.view._drawn, time.perf_counter()
        mouse._send("XRay1", place, QEvent.Type.MouseMove, "Left")
        host.wait_until(lambda seen=before: session.view._drawn > seen, PATIENCE, "the next radiograph")
        host.wait_until(lambda: not view._stale, PATIENCE, "its picture")
        times.append(time.perf_counter() - begin)
        width = session.view._live.camera(0, True).size[1]
    begin = time.perf_counter()
    mouse._send("XRay1", PATH[-1], QEvent.Type.MouseButtonRelease, "Left")
    host.wait_until(lambda: session.view.still and not view._stale, PATIENCE, "the whole picture")
    whole = time.perf_counter() - begin
    times = times[5:]  # the first ones settle the width
    return Line(work, len(times) / sum(times), 1e3 * statistics.median(times), 1e3 * max(times), width, 1e3 * whole)


def measured(host: Host) -> list[Line]:
    lines, panel = [], host.open_module(MODULES["XRayPose"])
    for count in (1, 2):
        host.close_scene()
        choose(host, panel, count)
        host.click(panel.ui.liveButton)
        host.process(1500)
        parameters = panel._parameterNode
        views, blend = f"{count} X-ray{'s' * (count > 1)}", parameters.over
        for over in type(blend) if count == 1 else (blend,):
            parameters.over = over
            host.process(1000)
            lines.append(drag(host, panel, f"{views}: {over.value}"))
        parameters.over, parameters.show_volume = blend, False
        host.process(500)
        lines.append(drag(host, panel, f"{views}: the same without bones in 3D"))
        parameters.live = False
        host.process(200)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="writes the table as JSON too")
    arguments = parser.parse_args()
    host = Host()
    host.window.resize(1600, 1000)
    host.window.show()
    lines = measured(host)
    print(f"{'':42}{'a second':>9}{'ms':>8}{'slowest':>9}{'width':>7}{'whole after ms':>16}")
    for line in lines:
        numbers = f"{line.per_second:9.1f}{line.ms:8.1f}{line.slowest_ms:9.1f}{line.width:7d}{line.whole_ms:16.0f}"
        print(f"{line.work:42}{numbers}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(line) for line in lines], indent=1), encoding="utf-8")
    host.close()


if __name__ == "__main__":
    main()
