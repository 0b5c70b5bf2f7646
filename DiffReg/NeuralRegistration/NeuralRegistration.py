"""Neural Registration: brings one image onto another by a neural field that is fitted to the pair."""

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
from NeuralRegistrationLib import expectation  # noqa: E402
from NeuralRegistrationLib.preview import LivePreview  # noqa: E402


class NeuralRegistration(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        help = _(
            "Brings one image onto another, of the same or of another modality. A small neural network, asked where a "
            "point of the fixed image lies in the moving one, is fitted to the pair: that takes little memory, also "
            "for large images. Choose both images and a quality, and press Apply; the views follow while it works."
        )
        acknowledgement = _(
            "The method follows L. Tian, H. Greer, R. San José Estépar, R. Sengupta, M. Niethammer: NePhi: Neural "
            "Deformation Fields for Approximately Diffeomorphic Medical Image Registration, ECCV 2024."
        )
        describe(self, _("Neural Registration"), help, acknowledgement)


class NeuralRegistrationWidget(pair.PairWidget):
    """The panel."""

    titles = {"neural": _("Registration")}
    help = {
        "field": _("A field that an earlier run on this fixed image saved, to go on from."),
        "model": _("Networks that predict where to start, made by diffreg train neural."),
    }

    def setup(self):
        self.preview = LivePreview(lambda: self._parameterNode)
        super().setup()

    def makeLogic(self):
        return NeuralRegistrationLogic()

    def follow(self):
        super().follow()
        self.ui.expectedLabel.text = expectation.words(self._parameterNode)

    def onProgress(self, event):
        if self.runner.run is not None:
            self.preview.update(self.runner.run.folder)

    def onRunEnded(self, error):
        self.preview.stop()
        super().onRunEnded(error)

    def onApplyButton(self, checked=False):
        self.preview.stop()  # of the run that this cancels
        super().onApplyButton(checked)

    def leave(self):
        super().leave()
        self.preview.stop()


class NeuralRegistrationLogic(pair.PairLogic):
    """Registers what a parameter node names; needs no panel."""

    settings = pair.parameter_node(method("neural"))


class NeuralRegistrationTest(pair.PairTest):
    """Registers a body with its shifted copy."""

    preset = "fast"
    settings = {  # a shift needs no detail
        "neural_iterations": "40 40 10",
        "neural_samples": "500 500 500",
        "neural_spacings": "8 6 6",
        "neural_units": 16,
        "neural_frequencies": 16,
    }

    def makeLogic(self):
        return NeuralRegistrationLogic()
