"""A panel for a method that somebody else has written costs less than sixty lines and does all that a panel does."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing import toy  # noqa: E402
from Testing.panels import splat_panel as splat  # noqa: E402

MODULE = Path(__file__).parent / "modules/ToyRegistration/ToyRegistration.py"


@pytest.fixture
def panel(host, monkeypatch, tmp_path):
    folder = str(toy.install(tmp_path))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH")))))
    yield host.open_module(MODULE)
    for name in [name for name in sys.modules if name.startswith("diffreg_toy")]:
        del sys.modules[name]


def _choose(panel):
    fixed = splat.cloud(60)
    chosen = splat.parameters(panel)
    chosen.fixed = splat.points_node("Fixed cloud", fixed)
    chosen.moving = splat.points_node("Moving cloud", fixed + splat.SHIFT)
    return chosen


def test_the_module_is_under_sixty_lines():
    assert len(MODULE.read_text("utf-8").splitlines()) < 60


def test_the_panel_registers_with_a_method_from_outside(host, panel):
    chosen = _choose(panel)
    chosen.fixed_landmarks, chosen.moving_landmarks = (
        splat.points_node(name, splat.cloud(9, seed=1) + shift) for name, shift in (("L", 0), ("M", splat.SHIFT))
    )
    splat.run(host, panel)
    assert panel.ui.statusLabel.text == ""
    assert splat.error_mm(chosen.fixed, chosen.output_warped) < 1e-3
    landmarks = json.loads(chosen.measures)["landmarks"]
    assert landmarks["after_mm"]["mean"] < 1e-3 < landmarks["before_mm"]["mean"]
    assert "Error of 9 landmarks" in panel.ui.measuresLabel.text and panel.ui.flickerButton.enabled
    assert chosen.loss is not None
    first = chosen.output_transform
    splat.run(host, panel)
    assert panel.ui.statusLabel.text == "" and chosen.output_transform is first


def test_options_presets_and_inputs_are_those_of_the_method(host, panel):
    chosen = _choose(panel)
    assert [panel.ui.presetComboBox.itemText(n) for n in range(panel.ui.presetComboBox.count)] == [
        "All the way",
        "Half",
    ]
    host.choose(panel.ui.presetComboBox, "Half")
    assert panel.ui.toy_way.value == chosen.toy_way == 0.5
    assert list(panel.ui.fixedSelector.nodeTypes) == ["vtkMRMLMarkupsFiducialNode"]
    assert not hasattr(panel.ui, "fixedMaskSelector")
    splat.run(host, panel)
    assert splat.error_mm(chosen.fixed, chosen.output_warped) == pytest.approx(
        np.linalg.norm(splat.SHIFT) / 2, abs=1e-3
    )


def test_the_self_test_of_the_module_passes(panel):
    slicer.selfTests["ToyRegistration"]()
