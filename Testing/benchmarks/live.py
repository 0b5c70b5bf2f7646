"""How fast a CT's radiographs follow the hand, and what each overlay takes: medians of 30 after warming up.

    python Testing/benchmarks/live.py [--device cpu|cuda] [--threads N] [--json FILE]

The CT is an analytic one of 256^3 voxels of 1.5 mm, its X-rays have 256 x 256 pixels; every frame has another pose.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from DiffRegLib.camera import AP, LATERAL, Camera, c_arm
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.radiographs.live import LiveRadiographs
from DiffRegLib.review.overlay import MODES, overlay, reduced
from DiffRegLib.transforms import rigid

VOXELS, PIXELS, REPEATS = 256, 256, 30
SPACING, FIELD = 1.5, 373.76  # mm


@dataclass(frozen=True)
class Line:
    """What was measured: median and slowest ms, frames a second at the median, width in pixels."""

    work: str
    ms: float
    slowest_ms: float
    per_second: float
    width: int


def patient() -> Image:
    """Attenuation a mm: an ellipsoid of water with air, and two crossed bars of bone with smooth edges."""
    affine = torch.diag(torch.tensor([SPACING, SPACING, SPACING, 1.0], dtype=torch.float64))
    affine[:3, 3] = -SPACING * (VOXELS - 1) / 2
    x, y, z = Geometry((VOXELS,) * 3, affine).grid().unbind(-1)
    body = torch.sigmoid((1 - ((x / 170) ** 2 + (y / 110) ** 2 + (z / 185) ** 2).sqrt()) * 60)
    gas = torch.exp(-((x - 40) ** 2 + (y - 20) ** 2 + (z + 60) ** 2) / (2 * 20.0**2))
    spine = torch.sigmoid(18 - (x**2 + (y + 40) ** 2).sqrt()) * (1 + 0.4 * torch.cos(z / 5))
    hip = torch.sigmoid(12 - ((z + 40 - 0.002 * x**2) ** 2 + y**2).sqrt()) * torch.sigmoid(120 - x.abs())
    return Image((body * (0.02 * (1 - gas) + 0.02 * spine + 0.025 * hip)).float()[None], affine)


def cameras(count: int) -> list[Camera]:
    pitch = FIELD / PIXELS
    return [
        c_arm([0.0, 0.0, 0.0], 1020.0, 620.0, (pitch, pitch), (PIXELS, PIXELS), angles)
        for angles in (AP, LATERAL)[:count]
    ]


def timed(work: str, call: Callable[[int], list[np.ndarray]]) -> Line:
    """The times of `call`, which is given the number of the repeat and gives pictures, the widest of which is named."""
    times, width = [], 0
    for repeat in range(REPEATS):
        start = time.perf_counter()
        pictures = call(repeat)
        times.append(1000 * (time.perf_counter() - start))
        width = max(picture.shape[1] for picture in pictures)
    middle = statistics.median(times)
    return Line(work, middle, max(times), 1000 / middle, width)


def measured(device: str) -> list[Line]:
    volume, lines = patient(), []
    poses = [rigid(torch.tensor([0.5 * n, -0.3 * n, n]), torch.tensor([n, 0.0, -n])).matrix for n in range(REPEATS)]
    for count in (1, 2):
        live = LiveRadiographs(volume, cameras(count), device)
        live.warm_up(poses[0])
        views = f"{count} view{'s' * (count > 1)}"
        lines.append(timed(f"moving, {views}", lambda n, live=live: live.render(poses[n], True)))
        lines.append(timed(f"at rest, {views}", lambda n, live=live: live.render(poses[n], False)))
        if count == 1:
            lines += _overlays(live, poses)
    return lines


def _overlays(live: LiveRadiographs, poses: list[torch.Tensor]) -> list[Line]:
    """Every mode on pictures at rest, and a moving frame with the X-ray brought to its size and its contours."""
    xray = live.render(poses[-1], False)[0]
    drrs = [live.render(pose, False)[0] for pose in poses]
    mask = np.ones(xray.shape, dtype=bool)
    lines = []
    for mode in MODES:
        overlay(mode, drrs[0], xray, mask)
        lines.append(timed(f"overlay {mode}", lambda n, mode=mode: [overlay(mode, drrs[n], xray, mask).values]))

    def frame(n: int) -> list[np.ndarray]:
        drr = live.render(poses[n], True)[0]
        smaller = reduced(xray, live.factor(0, True))
        return [overlay("contours", drr, smaller, np.ones(drr.shape, dtype=bool)).values]

    return [*lines, timed("moving frame with contours", frame)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; by default those that torch takes")
    parser.add_argument("--json", metavar="FILE", help="writes the table as JSON too")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    threads = torch.get_num_threads()
    lines = measured(arguments.device)
    print(f"{VOXELS}^3 voxels, {PIXELS} x {PIXELS} pixels, {threads} threads, median of {REPEATS}")
    print(f"{'':28}{'ms':>8}{'slowest':>10}{'a second':>10}{'width':>7}")
    for line in lines:
        print(f"{line.work:28}{line.ms:8.1f}{line.slowest_ms:10.1f}{line.per_second:10.0f}{line.width:7d}")
    if arguments.json:
        content = {"threads": threads, "device": arguments.device, "lines": [asdict(line) for line in lines]}
        Path(arguments.json).write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
