"""Supervoxel Registration: brings one CT onto another, also of another patient, by the supervoxels that both show."""

import sys
from pathlib import Path
from typing import Annotated

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Default, WithinRange
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
from SupervoxelRegistrationLib.layers import LayerViews  # noqa: E402
from SupervoxelRegistrationLib.plan import SupervoxelPlan  # noqa: E402

MOST_LAYERS = 64  # that the option allows


class SupervoxelRegistration(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        help = _(
            "Brings one CT onto another, also of another patient, without segmentations. A reference is divided into "
            "supervoxels in several overlapping ways; a network, or a registration with the reference, says which "
            "voxels of both scans belong to which; and the places of equal supervoxels are brought together. After a "
            "run, a click on a supervoxel shows its counterpart in the other scan."
        )
        acknowledgement = _(
            "The method follows M. P. Heinrich: Rethinking the Design of Learning based Inter-Patient Registration "
            "using Deformable Supervoxels, MIDL 2021 (SLIC-Reg)."
        )
        describe(self, _("Supervoxel Registration"), help, acknowledgement)


class SupervoxelRegistrationWidget(pair.PairWidget):
    """The panel."""

    titles = {
        "supervoxels": _("Registration"),
        "segmentation": _("Supervoxels of the reference"),
        "preparation": _("Common box"),
    }
    help = {
        "reference": _("The CT that is divided into supervoxels: the moving one, where none is chosen."),
        "model": _(
            "A network that predicts the supervoxels, made by diffreg train supervoxel; the reference is not "
            "needed then."
        ),
    }

    def setup(self):
        super().setup()
        self.layers = LayerViews(self.ui, lambda: self._parameterNode)
        self.layers.update()

    def makeLogic(self):
        return SupervoxelRegistrationLogic()

    def follow(self):
        super().follow()
        if hasattr(self, "layers"):
            self.layers.update()

    def leave(self):
        super().leave()
        if hasattr(self, "layers"):
            self.layers.stop()


class SupervoxelRegistrationLogic(pair.PairLogic):
    """Registers what a parameter node names; needs no panel."""

    plan = SupervoxelPlan
    settings = pair.parameter_node(
        method("supervoxel"),
        layers_fixed=slicer.vtkMRMLVectorVolumeNode,
        layers_moving=slicer.vtkMRMLVectorVolumeNode,
        show_layers=bool,
        layer=Annotated[int, WithinRange(1, MOST_LAYERS), Default(1)],
    )


class SupervoxelRegistrationTest(pair.PairTest):
    """Registers a body with its shifted copy."""

    settings = {  # a shift needs no fine supervoxels
        "segmentation_layers": 4,
        "segmentation_classes": 32,
        "segmentation_segments": 48,
        "segmentation_margin": 10.0,
        "preparation_spacing": 3.0,
        "preparation_box": "64 64 64",
        "supervoxels_points": 300,
    }

    def makeLogic(self):
        return SupervoxelRegistrationLogic()
