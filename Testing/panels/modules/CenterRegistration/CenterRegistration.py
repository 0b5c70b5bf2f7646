"""Center Registration: moves centers of mass together; what a panel of two images costs."""

import sys
from pathlib import Path

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

# The library lies beside this file where the extension is installed, and above it in the repository.
for _folder in Path(__file__).resolve().parents:
    if (_folder / "DiffRegLib" / "__init__.py").is_file():
        if str(_folder) not in sys.path:
            sys.path.insert(0, str(_folder))
        break

from DiffRegLib.methods import method  # noqa: E402  (the library has to be found first)
from DiffRegLib.mrml import pair  # noqa: E402
from DiffRegLib.mrml.panel.module import describe  # noqa: E402


class CenterRegistration(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        help = _("Shifts the moving input so that its center of mass meets that of the fixed one.")
        describe(self, _("Center Registration"), help, _("Archimedes, On the Equilibrium of Planes."))


class CenterRegistrationWidget(pair.PairWidget):
    """The panel."""

    def makeLogic(self):
        return CenterRegistrationLogic()


class CenterRegistrationLogic(pair.PairLogic):
    """Registers what a parameter node names; needs no panel."""

    settings = pair.parameter_node(method("centers"))


class CenterRegistrationTest(pair.PairTest):
    """Finds a shift that is known."""

    def makeLogic(self):
        return CenterRegistrationLogic()
