"""What Slicer lists of every module of the extension."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate


def describe(
    module: Any, title: str, help: str, acknowledgement: str, samples: Callable[[Path], None] | None = None
) -> None:
    """Fills in a module, a `ScriptedLoadableModule`.

    samples: registers the module's sample data, given the folder of the icons; called when Slicer has started.
    """
    about = module.parent
    about.title = title
    about.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
    about.dependencies = []
    about.contributors = [_("The DiffReg developers")]
    about.helpText, about.acknowledgementText = help, acknowledgement
    if samples is not None:
        icons = Path(module.resourcePath("Icons"))
        slicer.app.connect("startupCompleted()", lambda: samples(icons))
