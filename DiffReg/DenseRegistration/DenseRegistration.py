"""Dense Registration: brings one image onto another by what both look like."""

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


class DenseRegistration(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        help = _(
            "Brings one image onto another by what both look like, of one modality or of two: an affine first, then a "
            "deformation that folds nowhere. Choose the fixed and the moving volume and press Apply. Masks say where "
            "the images count; landmarks can be followed, too; any transform can be the start."
        )
        acknowledgement = _(
            "Self-similarity follows M. P. Heinrich et al., Towards Realtime Multimodal Fusion for Image-Guided "
            "Interventions Using Self-Similarities, MICCAI 2013 (MIND-SSC)."
        )
        describe(self, _("Dense Registration"), help, acknowledgement)


class DenseRegistrationWidget(pair.PairWidget):
    """The panel."""

    titles = {"dense": _("Registration")}

    def makeLogic(self):
        return DenseRegistrationLogic()


class DenseRegistrationLogic(pair.PairLogic):
    """Registers what a parameter node names; needs no panel."""

    settings = pair.parameter_node(method("dense"))


class DenseRegistrationTest(pair.PairTest):
    """Registers a body with its shifted copy."""

    def makeLogic(self):
        return DenseRegistrationLogic()
