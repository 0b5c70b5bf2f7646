"""The panel Neural Registration: a shift is found, what it takes is told before, and the views follow meanwhile."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.modules import MODULES  # noqa: E402
from Testing.panels import splat_panel as splat  # noqa: E402

SHIFT = np.array([4.0, -3.0, 2.0])  # mm from fixed to moving


def _body(name, shift, voxel=4.0, size=32):
    """Soft balls in a box of 128 mm."""
    k, j, i = np.meshgrid(*[(np.arange(size) - (size - 1) / 2) * voxel] * 3, indexing="ij")
    place = np.stack((i, j, k), -1) - shift
    values = np.zeros((size,) * 3, np.float32)
    for center, radius, bright in (((0, 0, 0), 45, 0.5), ((20, 10, -15), 14, 1.0), ((-25, 5, 20), 12, -0.5)):
        values += bright / (1 + np.exp((np.linalg.norm(place - center, axis=-1) - radius) / 3))
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -voxel * (size - 1) / 2
    return slicer.util.addVolumeFromArray(1000 * values, ijkToRAS=affine, name=name)


@pytest.fixture
def panel(host):
    """A panel with two images and options that take seconds."""
    panel = host.open_module(MODULES["NeuralRegistration"])
    chosen = panel._parameterNode
    chosen.fixed, chosen.moving = _body("Fixed", 0 * SHIFT), _body("Moving", SHIFT)
    chosen.neural_blurs, chosen.neural_spacings = "6 3", "8 5"
    chosen.neural_iterations, chosen.neural_samples = "60 60", "500 500"
    chosen.neural_units, chosen.neural_frequencies, chosen.neural_regularized = 16, 16, 20
    chosen.neural_stiffness = 0.5
    host.process(50)
    return panel


def test_what_a_run_takes_is_told_and_grows_with_the_quality(host, panel):
    """The time is told in seconds or minutes: more steps take longer."""
    few = panel.ui.expectedLabel.text
    assert few.startswith("About ") and "GB" in few
    panel._parameterNode.neural_iterations = "60000 60000"
    host.process(50)
    assert "min" in panel.ui.expectedLabel.text
    panel._parameterNode.moving = None
    host.process(50)
    assert panel.ui.expectedLabel.text == ""


def test_the_shift_is_found_while_the_views_follow_and_nothing_is_left_of_that(host, panel):
    from DiffRegLib.mrml import show

    before = [c.GetForegroundVolumeID() for c in show.composites(slicer.mrmlScene)]
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: panel.preview.node is not None or panel.runner.run is None, splat.SECONDS, "the preview")
    node = panel.preview.node
    assert node is not None, panel.ui.logTextEdit.plainText
    assert node.GetImageData().GetDimensions() == (96, 96, 96) and not node.GetSaveWithScene()
    assert {c.GetForegroundVolumeID() for c in show.composites(slicer.mrmlScene)} == {node.GetID()}
    splat.finish(host, panel)
    assert panel.ui.statusLabel.text == "", panel.ui.logTextEdit.plainText
    assert panel.preview.node is None
    transform = panel._parameterNode.output_transform.GetTransformFromParent()
    for point in ([0, 0, 0], [20, 10, -15], [-25, 5, 20]):
        assert np.linalg.norm(np.array(transform.TransformPoint(point)) - point - SHIFT) < 1.5
    assert before is not None


def test_cancel_gives_the_views_back(host, panel):
    from DiffRegLib.mrml import show

    panel._parameterNode.neural_iterations = "6000 6000"
    before = [c.GetForegroundVolumeID() for c in show.composites(slicer.mrmlScene)]
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: panel.preview.node is not None, splat.SECONDS, "the preview")
    host.click(panel.ui.applyButton)
    host.process(100)
    assert panel.preview.node is None
    assert [c.GetForegroundVolumeID() for c in show.composites(slicer.mrmlScene)] == before
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_repeats_with_other_seeds_are_reviewed(host, panel):
    """How the result was made is noted on its transform, so that the review can make it again."""
    from Testing.panels import review_panel

    review = review_panel.open_panel(host)
    slicer.util.selectModule("NeuralRegistration")
    splat.run(host, panel)
    assert panel.ui.statusLabel.text == "", panel.ui.logTextEdit.plainText
    host.click(panel.ui.reviewButton)
    review_panel.parameters(review).repeats = 1
    review_panel.review(host, review)
    assert review.ui.statusLabel.text == "" and "repeats differ by" in review.ui.trustLabel.text
    middle = slicer.util.arrayFromVolume(review_panel.parameters(review).spread)[10:-10, 10:-10, 10:-10]
    assert 0 < np.median(middle) < 1.0  # mm; other points are drawn, and the shift is found again
