"""An analytic patient with an exactly known breathing motion, for demos, tests and studies."""

from DiffRegLib.phantom.anatomy import LABELS
from DiffRegLib.phantom.breathing import BreathingMotion
from DiffRegLib.phantom.files import write_phantom
from DiffRegLib.phantom.options import PhantomOptions
from DiffRegLib.phantom.patient import Phantom, State, breathing_phantom, render
from DiffRegLib.phantom.surfaces import Surface

__all__ = [
    "LABELS",
    "BreathingMotion",
    "Phantom",
    "PhantomOptions",
    "State",
    "Surface",
    "breathing_phantom",
    "render",
    "write_phantom",
]
