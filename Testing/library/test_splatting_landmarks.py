"""Landmarks as a term of the loss, and what ten pairs do where points have no counterparts."""

import dataclasses

import numpy as np
import pytest
import torch

from DiffRegLib.methods.splatting import PRESETS, SplattingOptions, register
from DiffRegLib.points import PointCloud
from DiffRegLib.review.metrics import target_registration_error

QUICK = SplattingOptions(
    search=False, coarse_iterations=60, fine_iterations=0, affine_iterations=0, coarse_stiffness=300.0
)
WEIGHT = 0.5


def test_landmarks_pull_where_they_have_a_weight_and_measure_where_they_have_none():
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)) * 30
    cloud = PointCloud.plain(x)
    fixed = torch.tensor([[40.0, 0, 0], [-40.0, 0, 0]], dtype=torch.float64)
    moving = fixed + torch.tensor([[0.0, 6, 0], [0.0, -6, 0]])
    errors = {}
    for weight in (0.0, WEIGHT):
        options = dataclasses.replace(QUICK, landmark_weight=weight)
        result = register(cloud, cloud, options, landmarks=(fixed, moving))
        errors[weight] = float(target_registration_error(result.transform, fixed, moving).mean())
    plain = register(cloud, cloud, QUICK).transform(fixed)
    unweighted = register(cloud, cloud, QUICK, landmarks=(fixed, moving)).transform(fixed)
    assert torch.equal(plain, unweighted)
    assert errors[0.0] == pytest.approx(6.0, abs=0.1) and errors[WEIGHT] < 0.6


def test_ten_pairs_at_the_worst_landmarks_bring_the_others_a_third_nearer(shared_data, one_thread):
    """Disjoint halves of the points of a lung: nothing but their shape can be registered, until a person points."""
    arrays = np.load(shared_data / "lung_breathing" / "case_110.npz")
    clouds = [PointCloud.plain(arrays[f"{phase}_p00"]) for phase in ("insp", "exp")]
    fixed, moving = (torch.as_tensor(arrays[f"lm_{phase}"]).double() for phase in ("insp", "exp"))
    before = target_registration_error(register(*clouds, PRESETS["lung-vessels"]).transform, fixed, moving)
    worst = before.argsort(descending=True)[:10]
    others = torch.ones(len(before), dtype=torch.bool)
    others[worst] = False
    options = dataclasses.replace(PRESETS["lung-vessels"], landmark_weight=WEIGHT)
    again = register(*clouds, options, landmarks=(fixed[worst], moving[worst]))
    after = target_registration_error(again.transform, fixed, moving)
    assert float(after[others].mean()) <= float(before[others].mean()) * 2 / 3
