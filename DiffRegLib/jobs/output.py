"""What a job leaves beside transform, inverse and measures; a panel, which shows them itself, takes less."""

from __future__ import annotations

from dataclasses import dataclass

from DiffRegLib.options import option


@dataclass(frozen=True)
class OutputOptions:
    """The group `output` of a job's options; a job without it leaves everything."""

    warped_fixed: bool = option(True, "the fixed side brought onto the moving one")
    overview: bool = option(True, "a picture of before and after, the deformation and the loss")
