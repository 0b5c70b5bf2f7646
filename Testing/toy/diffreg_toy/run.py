"""The toy's work: a shift between two means."""

import time

import torch

from DiffRegLib import __version__
from DiffRegLib.methods.registration import Provenance, Registration, TraceRow
from DiffRegLib.options import to_dict
from DiffRegLib.transforms import Affine


def run(inputs, options, folder, progress):
    """See `DiffRegLib.methods.method.Method`."""
    began = time.perf_counter()
    fixed, moving = (inputs[side].points().double().mean(0) for side in ("fixed", "moving"))
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = options["toy"].way * (moving - fixed)
    left = float((moving - fixed - matrix[:3, 3]).norm())
    progress(0.5, "Moving.", stage="shift", iteration=1, loss=left)
    return Registration(
        transform=Affine(matrix),
        inverse=Affine(torch.linalg.inv(matrix)),
        trace=(
            TraceRow(0, 0, float((moving - fixed).norm()), 0.0, 1.0, "shift"),
            TraceRow(0, 1, left, 0.0, 1.0, "shift"),
        ),
        provenance=Provenance(
            "toy", __version__, to_dict(options["toy"]), 0, "cpu", time.perf_counter() - began, 0.0, {}
        ),
    )
