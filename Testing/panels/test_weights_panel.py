"""Trained networks that are known by name, in the panel that takes them."""

import json

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.modules import MODULES  # noqa: E402


def test_the_network_of_a_pose_is_chosen_by_its_name(host):
    panel = host.open_module(MODULES["XRayPose"])
    names = panel.ui.networkNamesComboBox
    host.choose(names, next(names.itemText(n) for n in range(names.count) if "pelvis-example" in names.itemText(n)))
    host.process(20)
    assert panel._parameterNode.getValue("pose_network") == "pelvis-example"


def test_the_network_of_supervoxels_is_chosen_by_its_name(host):
    panel = host.open_module(MODULES["SupervoxelRegistration"])
    names = panel.ui.modelNamesComboBox
    host.choose(names, next(names.itemText(n) for n in range(names.count) if "abdomen-example" in names.itemText(n)))
    host.process(20)
    assert panel._parameterNode.model.name == "abdomen-example.safetensors"


def test_a_known_network_is_chosen_by_its_name(host, tmp_path, monkeypatch):
    entry = {"method": "splatting", "title": "lungs", "file": "lungs.safetensors"}
    other = {"method": "projective", "title": "a pelvis", "file": "pelvis.safetensors"}
    (tmp_path / "weights.json").write_text(json.dumps({"lungs-1": entry, "pelvis-1": other}))
    (tmp_path / "lungs.safetensors").write_bytes(b"")
    monkeypatch.setenv("DIFFREG_WEIGHTS", str(tmp_path))
    panel = host.open_module(MODULES["SplatRegistration"])
    names = panel.ui.networkNamesComboBox
    shown = [names.itemText(n) for n in range(names.count)]
    assert "lungs-1: lungs" in shown and not any("pelvis-1" in text for text in shown)
    host.choose(names, "lungs-1: lungs")
    host.process(20)
    assert panel._parameterNode.network == tmp_path / "lungs.safetensors"
