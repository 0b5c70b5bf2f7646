"""A panel for a method that somebody else has written costs less than sixty lines and does all that a panel does."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing import toy  # noqa: E402
from Testing.panels import splat_panel as splat  # noqa: E402

MODULE = Path(__file__).parent / "modules/CenterRegistration/CenterRegistration.py"
SHIFT = (8.0, 4.0, -4.0)  # mm, whole voxels


@pytest.fixture
def panel(host, monkeypatch, tmp_path):
    folder = str(toy.install(tmp_path / "site"))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH")))))
    return host.open_module(MODULE)


@pytest.fixture
def chosen(panel):
    """The settings with a ball of 1000 HU in each input."""
    settings = splat.parameters(panel)
    for side, center in (("fixed", (0, 0, 0)), ("moving", SHIFT)):
        settings.setValue(side, splat.labels_node(side.capitalize(), center, "vtkMRMLScalarVolumeNode"))
    return settings


def _shift(transform):
    return np.array(transform.GetTransformFromParent().TransformPoint(0.0, 0.0, 0.0))


def test_the_module_is_under_sixty_lines():
    assert len(MODULE.read_text("utf-8").splitlines()) < 60


def test_the_panel_registers_with_it_and_with_its_own_result_again(host, panel, chosen):
    chosen.fixed_landmarks, chosen.moving_landmarks = (
        splat.points_node(name, splat.cloud(9, seed=1) + shift) for name, shift in (("L", 0), ("M", SHIFT))
    )
    chosen.show_grid = False
    for _run in range(2):
        splat.run(host, panel)
        assert panel.ui.statusLabel.text == "" and np.abs(_shift(chosen.output_transform) - SHIFT).max() < 1e-3
    fixed, warped = (slicer.util.arrayFromVolume(node) for node in (chosen.fixed, chosen.output_warped))
    assert np.abs(fixed[2:-2, 2:-2, 2:-2] - warped[2:-2, 2:-2, 2:-2]).max() < 1.0
    assert json.loads(chosen.measures)["notes"] == [], "what is a volume in the scene is not guessed to be labels"
    landmarks = json.loads(chosen.measures)["landmarks"]
    assert landmarks["after_mm"]["mean"] < 1e-3 < landmarks["before_mm"]["mean"]
    assert "Error of 9 landmarks" in panel.ui.measuresLabel.text and panel.ui.flickerButton.enabled
    assert chosen.loss is not None and chosen.output_transform.IsLinear()


def test_options_presets_and_inputs_are_those_of_the_method(host, panel, chosen):
    box = panel.ui.presetComboBox
    assert [box.itemText(n) for n in range(box.count)] == ["Bones", "Tissue"] and chosen.center_threshold == 200.0
    host.choose(box, "Tissue")
    assert panel.ui.center_threshold.value == chosen.center_threshold == 0.0
    kinds = {"vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode", "vtkMRMLSegmentationNode"}
    assert set(panel.ui.fixedSelector.nodeTypes) == kinds
    assert hasattr(panel.ui, "fixedLabelsSelector") and not hasattr(panel.ui, "fixedMaskSelector")


def test_a_fault_that_its_worker_finds_is_worded_as_the_widget_is_labeled(host, panel, chosen):
    chosen.center_threshold = 2000.0
    splat.run(host, panel)
    assert panel.ui.statusLabel.text == "Nothing is above Threshold: lower it."
    form = panel.ui.center_threshold.parent().layout()
    assert form.labelForField(panel.ui.center_threshold).text == "Threshold:"


def test_the_self_test_of_the_module_passes(panel):
    slicer.selfTests["CenterRegistration"]()
