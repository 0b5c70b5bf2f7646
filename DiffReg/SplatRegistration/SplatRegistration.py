"""Splat Registration: brings vessels, organs, surfaces or points of one image onto those of another."""

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
from DiffRegLib.mrml.pair import sample_data  # noqa: E402
from DiffRegLib.mrml.panel.module import describe  # noqa: E402


class SplatRegistration(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        help = _(
            "Brings one image onto another by the points that both show: the vessels of the lungs, the surfaces of "
            "organs, labels, models or lists of points. Choose the fixed and the moving input and a preset, and press "
            "Apply. The result is a transform with its inverse, and the moving input brought onto the fixed one. The "
            "work runs in another process: Slicer can be used meanwhile, and Cancel leaves the scene as it was. "
            "Inputs under a transform are taken where they are seen."
        )
        acknowledgement = _(
            "The method follows M. P. Heinrich, A. Bigalke, C. Großbröhmer, L. Hansen: Chasing Clouds: Differentiable "
            "Volumetric Rasterisation of Point Clouds as a Highly Efficient and Accurate Loss for Large-Scale "
            "Deformable 3D Registration, ICCV 2023 (DiVRoC). Forward splatting registration is covered by the patent "
            "EP4535285A3: commercial use needs a license from its holders."
        )
        describe(self, _("Splat Registration"), help, acknowledgement, sample_data.register)


class SplatRegistrationWidget(pair.PairWidget):
    """The panel."""

    titles = {"splatting": _("Registration"), "clouds": _("Points")}
    help = {
        role: _("Where points of this input are taken from: for a CT, its lungs. Without a mask they are found in it.")
        for role in ("fixed_mask", "moving_mask")
    }

    def makeLogic(self):
        return SplatRegistrationLogic()


class SplatRegistrationLogic(pair.PairLogic):
    """Registers what a parameter node names; needs no panel."""

    settings = pair.parameter_node(method("splatting"))


class SplatRegistrationTest(pair.PairTest):
    """Registers two lists of points whose answer is known."""

    preset = "generic-points"
    settings = {  # a shift needs neither search nor detail
        "splatting_search": False,
        "splatting_fine_sigmas": "8",
        "splatting_fine_iterations": 10,
        "splatting_control_spacing": 16.0,
        "splatting_voxel": 4.0,
    }

    def makeLogic(self):
        return SplatRegistrationLogic()
