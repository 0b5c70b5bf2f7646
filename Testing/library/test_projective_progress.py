"""What pose estimation tells while it works: how far it is, the loss, and the best pose so far."""

import dataclasses

import pytest
import torch

from DiffRegLib.errors import Cancelled
from DiffRegLib.methods.projective import PoseOptions, register
from DiffRegLib.radiographs.projection import project
from DiffRegLib.transforms import Affine, rigid
from Testing.library.radiographed import CENTER, QUICK, attenuation, distance, far, near, patient, xray


@pytest.fixture(scope="module")
def ct():
    return patient()


def test_progress_rises_and_cancels(ct):
    fractions = []

    def watch(fraction, message, **details):
        fractions.append(fraction)
        if fraction > 0.7:
            raise Cancelled

    with pytest.raises(Cancelled):
        register(ct, [xray(ct, near())], QUICK, progress=watch)
    assert fractions == sorted(fractions) and len(fractions) > 3


def told(ct, options, truth, initial=None):
    """Every call of the progress callback that carries a pose, as (details, pose), and the result."""
    calls = []

    def listen(fraction, message, **details):
        if "pose" in details:
            calls.append((details, Affine(torch.tensor(details["pose"], dtype=torch.float64).reshape(4, 4))))

    return calls, register(ct, [xray(ct, truth)], options, initial=initial, progress=listen)


def test_progress_carries_the_pose_from_the_start_to_the_result(ct):
    truth, start = far(), rigid([1.0, 0.0, 0.0], [2.0, 0.0, 0.0], CENTER)
    calls, found = told(ct, QUICK, truth, start)
    poses = [pose for _, pose in calls]
    torch.testing.assert_close(poses[0].matrix, start.matrix)
    torch.testing.assert_close(poses[-1].matrix, found.pose.matrix)
    searched = [pose for details, pose in calls if "loss" not in details][1:]
    assert len(searched) >= 3 and all(distance(ct, pose, truth) < 20 for pose in searched)
    steps = [details for details, _ in calls if "loss" in details]
    assert [(s["level"], s["iteration"], s["loss"]) for s in steps] == [
        (row.level, row.iteration, row.similarity) for row in found.trace
    ]
    assert [s["stage"] for s in steps] == [row.stage for row in found.trace] and len({s["stage"] for s in steps}) > 1
    for before, after in zip(steps, steps[1:]):
        assert after["level"] > before["level"] or after["iteration"] > before["iteration"]


@pytest.mark.parametrize("optimizer", ["gauss-newton", "sgd", "adam", "lbfgs", "cma"])
def test_a_stopped_descent_has_told_its_best_pose(ct, optimizer):
    """Correlation of images, computed here, never falls from one event to the next, whatever the steps do."""
    if optimizer == "cma":
        pytest.importorskip("cma")
    options = PoseOptions(
        search=False, optimizer=optimizer, similarity="ncc", levels=(64,), descent_iterations=25, learning_rate=0.05
    )
    options = dataclasses.replace(options, appearance="same", polarity="positive")
    seen = xray(ct, near())
    calls, _ = told(ct, options, near(), rigid([2.0, 0.0, 3.0], [3.0, 4.0, -3.0], CENTER))
    images = [project(attenuation(ct), pose.matrix, seen.camera)[0, 0] for _, pose in calls]
    scores = torch.tensor([torch.corrcoef(torch.stack([im.flatten(), seen.image.flatten()]))[0, 1] for im in images])
    assert len(scores) > 2 and (scores.diff() > -1e-4).all()
