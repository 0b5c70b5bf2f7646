"""Which process of a training this one is; known before the framework is imported."""

from __future__ import annotations

import os

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
"""The variables by which torchrun, SLURM and Lightning number processes."""


def first_process() -> bool:
    """Whether this process is the one that writes and tells."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)
