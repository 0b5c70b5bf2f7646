"""Stands in for slicer.parameterNodeWrapper: typed parameters in a real vtkMRMLScriptedModuleNode, bound to widgets.

Written into the node as Slicer writes them, so that a scene saved by one opens in the other. Without parameter packs,
dictionaries and FloatRange.
"""

from .annotations import (
    Choice,
    Decimals,
    Default,
    Exclude,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    Validator,
    WithinRange,
)
from .wrapper import isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "Validator",
    "WithinRange",
]
__all__ += ["isParameterNodeWrapper", "parameterNodeWrapper"]
