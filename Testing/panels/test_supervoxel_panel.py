"""The panel Supervoxel Registration: a shift is found, and the layers of both scans lie where the scans are."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.modules import MODULES  # noqa: E402
from Testing.panels import splat_panel as splat  # noqa: E402

SHIFT = np.array([12.0, -8.0, 10.0])  # mm from fixed to moving


def _body(name, shift):
    """A uniform body in HU, in voxels of 5 mm, with borders as soft as voxels make them, and two organs."""
    k, j, i = np.meshgrid(*[np.arange(56)] * 3, indexing="ij")
    place = np.stack((i, j, k), -1) * 5.0 - 137.5 - shift
    hounsfield = -1000 + 1040 / (1 + np.exp((np.linalg.norm(place / (95, 75, 105), axis=-1) - 1) * 15))
    for density, center, radius in ((140, (35, 10, 30), 30), (-130, (-40, -5, -20), 28)):
        hounsfield += density / (1 + np.exp((np.linalg.norm(place - center, axis=-1) - radius) / 3))
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    affine[:3, 3] = -137.5
    return slicer.util.addVolumeFromArray(hounsfield.astype(np.float32), ijkToRAS=affine, name=name)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tmp_path_factory.mktemp("supervoxels") / "registered.mrb"


@pytest.fixture
def panel(host, saved):
    """A panel with a finished registration; the first test that needs it makes it."""
    panel = host.open_module(MODULES["SupervoxelRegistration"])
    if saved.exists():
        host.load_scene(saved)
        host.process(100)
        return panel
    chosen = panel._parameterNode
    chosen.fixed, chosen.moving = _body("Fixed", 0 * SHIFT), _body("Moving", SHIFT)
    chosen.segmentation_layers, chosen.segmentation_classes, chosen.segmentation_segments = 4, 32, 48
    chosen.segmentation_margin, chosen.preparation_spacing = 10.0, 5.0
    chosen.preparation_box, chosen.supervoxels_points = "56 48 56", 300
    splat.run(host, panel)
    assert panel.ui.statusLabel.text == "", panel.ui.logTextEdit.plainText
    host.save_scene(saved)
    return panel


def _middles(node, affine, classes):
    labels = slicer.util.arrayFromVolume(node)
    return {c: affine[:3, :3] @ np.argwhere(labels == c).mean(0)[::-1] + affine[:3, 3] for c in classes}


def test_the_shift_is_found(host, panel):
    transform = panel._parameterNode.output_transform.GetTransformFromParent()
    for point in ([0, 0, 0], [30, 20, -20], [-30, 10, 40]):
        assert np.linalg.norm(np.array(transform.TransformPoint(point)) - point - SHIFT) < 2


def test_layers_lie_where_the_scans_are_and_follow_the_slider(host, panel):
    from DiffRegLib.mrml import arrays

    parameters, layers = panel._parameterNode, panel.layers
    assert parameters.layers_fixed.GetImageData().GetNumberOfScalarComponents() == 4
    assert panel.ui.layerSlider.enabled and panel.ui.layerSlider.maximum == 4
    parameters.show_layers = True
    host.process(100)
    seen = []
    for number in (1, 3):
        parameters.layer = number
        host.process(50)
        fixed, moving = (layers._labels(side) for side in ("fixed", "moving"))
        seen.append(slicer.util.arrayFromVolume(fixed).copy())
        classes = [c for c in range(1, 32) if (seen[-1] == c).sum() > 40]
        a, b = (_middles(node, arrays.ijk_to_ras(node), classes) for node in (fixed, moving))
        assert np.median([np.linalg.norm(b[c] - a[c] - SHIFT) for c in classes]) < 2
    assert not np.array_equal(*seen)


def test_a_click_picks_a_supervoxel_and_its_counterpart(host, panel):
    parameters, layers = panel._parameterNode, panel.layers
    parameters.show_layers, parameters.layer = True, 1
    host.process(100)
    place = np.array([30.0, 10.0, 20.0])
    number = layers.pick("fixed", place)
    assert number > 0 and f"Supervoxel {number}," in panel.ui.pickedLabel.text
    middle, view = layers.center("moving"), host.view("DiffRegMoving")
    column, row, depth = view.convertRASToXYZ(middle)
    assert 0 <= column < view.width and 0 <= row < view.height and abs(depth) < 0.5, "it is not in the view"
    assert np.linalg.norm(layers.center("moving") - layers.center("fixed") - SHIFT) < 6
    assert layers.pick("fixed", np.array([500.0, 0, 0])) == 0 and panel.ui.pickedLabel.text == ""


def test_without_the_box_the_views_are_as_before(host, panel):
    from DiffRegLib.mrml import layout

    parameters = panel._parameterNode
    before = layout.layout_node(slicer.mrmlScene).GetViewArrangement()
    parameters.show_layers = True
    host.process(50)
    assert layout.layout_node(slicer.mrmlScene).GetViewArrangement() == layout.LAYOUT
    parameters.show_layers = False
    host.process(50)
    assert layout.layout_node(slicer.mrmlScene).GetViewArrangement() == before
    assert slicer.mrmlScene.GetSingletonNode("DiffRegSupervoxelsfixed", "vtkMRMLLabelMapVolumeNode") is None


def test_a_network_that_is_missing_is_told(host, panel):
    from pathlib import Path

    panel._parameterNode.model = Path("nowhere") / "network.safetensors"
    host.process(20)
    assert "does not exist" in panel.ui.applyButton.toolTip and not panel.ui.applyButton.enabled
