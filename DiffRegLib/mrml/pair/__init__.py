"""A panel of two images: inputs, outputs, checks, run, result and comparisons of any method that registers a pair.

A module of such a panel holds its words, and classes after Slicer's template that name its method; see
`DiffReg/SplatRegistration`.
"""

from DiffRegLib.mrml.pair.logic import PairLogic
from DiffRegLib.mrml.pair.parameters import parameter_node
from DiffRegLib.mrml.pair.self_test import PairTest
from DiffRegLib.mrml.pair.widget import PairWidget

__all__ = ["PairLogic", "PairTest", "PairWidget", "parameter_node"]
