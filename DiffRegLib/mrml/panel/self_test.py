"""What the modules' own tests have in common: a fresh scene, and a skip where packages are missing."""

from __future__ import annotations

import unittest
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from DiffRegLib.mrml.panel import packages


class PanelTest(ScriptedLoadableModuleTest):
    """Base of the tests. On a machine that only builds the extension nothing has installed the packages yet."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()
        if absent := packages.missing():
            self.skipTest(_("Python packages are missing: {names}.").format(names=", ".join(absent)))

    def runTest(self, **options: Any) -> None:
        """Reload and Test: every test of the class; a skip is shown, and no failure."""
        try:
            super().runTest(**options)
        except unittest.SkipTest as skipped:
            self.delayDisplay(str(skipped))
