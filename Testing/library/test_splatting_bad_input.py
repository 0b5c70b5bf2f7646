"""What forward splatting refuses, before any work."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from DiffRegLib.errors import Cancelled, RegistrationError
from DiffRegLib.methods.splatting import SplattingOptions, register
from DiffRegLib.points import PointCloud
from DiffRegLib.review.metrics import folding, target_registration_error

POINTS = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)) * 50 - 20
CLOUD = PointCloud.plain(POINTS)


def changed(index: int, value: float) -> PointCloud:
    points = POINTS.clone()
    points[index, 1] = value
    return PointCloud.plain(points)


@pytest.mark.parametrize(
    ("fixed", "moving", "said"),
    [
        (changed(3, float("nan")), CLOUD, "fixed cloud has NaN"),
        (CLOUD, changed(3, float("inf")), "moving cloud has NaN or infinite"),
        (PointCloud.plain(POINTS[:9]), CLOUD, "fixed cloud has 9 points"),
        (CLOUD, PointCloud.plain(POINTS / 1000), "meters"),
        (CLOUD, PointCloud.plain((POINTS + 30).round()), "voxel indices"),
        (CLOUD, PointCloud.plain(POINTS, torch.zeros(60)), "weights"),
        (PointCloud.labeled(POINTS, [5] * 60), PointCloud.labeled(POINTS, [6] * 60), "share at least one label"),
        (PointCloud.labeled(POINTS, [5] * 55 + [6] * 5), PointCloud.labeled(POINTS, [6] * 60), "fixed cloud has 5"),
    ],
)
def test_clouds_that_cannot_be_registered(fixed, moving, said):
    with pytest.raises(RegistrationError, match=said):
        register(fixed, moving, progress=never)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"smoothing_kernel": 4}, "odd"),
        ({"search_radius": (20.0, 10.0)}, "different lengths"),
        ({"stiffness": -1.0}, "Stiffness is -1.0"),
        ({"initialization": "landmarks"}, "none are given"),
    ],
)
def test_options_that_make_no_sense(values, said):
    with pytest.raises(RegistrationError, match=said):
        register(CLOUD, CLOUD, dataclasses.replace(SplattingOptions(), **values), progress=never)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there():
    with pytest.raises(RegistrationError, match="finds no GPU"):
        register(CLOUD, CLOUD, SplattingOptions(device="cuda"), progress=never)


@pytest.mark.parametrize("when", [0.0, 0.3, 0.6, 0.95])
def test_whatever_progress_raises_ends_the_work(when):
    def cancel(fraction: float, message: str, **details: float) -> None:
        if fraction >= when:
            raise Cancelled

    with pytest.raises(Cancelled):
        register(CLOUD, PointCloud.plain(POINTS + 2), progress=cancel)


def never(fraction: float, message: str, **details: float) -> None:
    raise AssertionError("the work has begun")


def test_options_are_known_without_torch():
    code = "import sys, DiffRegLib.methods.splatting.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_breathing_lung(shared_data):
    """The reference of the data, all pairs known, is 1.07 mm in this case; a textbook drift reaches 1.66 mm."""
    arrays = np.load(shared_data / "lung_breathing" / "case_106.npz")
    clouds = [PointCloud.plain(arrays[f"{phase}_p75"]) for phase in ("insp", "exp")]
    truth = [torch.as_tensor(arrays[f"lm_{phase}"]) for phase in ("insp", "exp")]
    result = register(*clouds)
    from DiffRegLib.geometry import Geometry

    assert target_registration_error(result.transform, *truth).mean() < 1.5
    assert folding(result.transform, Geometry.around(clouds[0].points, 3.0)).percent == 0
