"""The pose of a CT against X-rays.

C. Gao et al., Generalizing spatial transformers to projective geometry with applications to 2D/3D registration,
MICCAI 2020.
"""

from typing import Any

from DiffRegLib.methods.projective.options import PoseOptions

__all__ = ["PoseOptions", "PoseRegistration", "register"]


def __getattr__(name: str) -> Any:
    """Imports the method, and torch with it, on first use: panels and the command line need the options alone."""
    if name == "register":
        from DiffRegLib.methods.projective.estimation import register

        return register
    if name == "PoseRegistration":
        from DiffRegLib.methods.projective.result import PoseRegistration

        return PoseRegistration
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
