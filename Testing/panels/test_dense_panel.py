"""The panel Dense Registration: it opens, and its own test finds a shift."""

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.modules import MODULES  # noqa: E402


def test_a_shift_is_found_by_the_test_of_the_module(host):
    panel = host.open_module(MODULES["DenseRegistration"])
    assert panel.ui.presetComboBox.count >= 3
    slicer.selfTests["DenseRegistration"]()
