"""What counts as good enough: limits for each number of a review, the user's own where they were saved.

The defaults are those of the AAPM's task group 132 (Brock et al., Medical Physics 2017, table V): landmark error, mean
surface distance and inverse consistency within the largest voxel, 2 to 3 mm; Dice within the uncertainty of contours,
0.8 to 0.9; no negative Jacobian determinant. It names no limit for the 95 % Hausdorff distance and for the least
determinant that is plausible: those stand here as a start.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from DiffRegLib.errors import RegistrationError
from DiffRegLib.options import from_dict, option, to_dict

Light = Literal["green", "amber", "red", "none"]
RANKS: tuple[Light, ...] = ("none", "green", "amber", "red")


@dataclass(frozen=True)
class LimitOptions:
    """For each measure the last value that is good (green) and the last one that is tolerable (amber)."""

    landmarks_good: float = option(2.0, "mean landmark error that is good", "mm", 0.0, 100.0, advanced=False)
    landmarks_tolerable: float = option(3.0, "mean landmark error that is tolerable", "mm", 0.0, 100.0, advanced=False)
    surface_good: float = option(2.0, "mean surface distance that is good", "mm", 0.0, 100.0, advanced=False)
    surface_tolerable: float = option(3.0, "mean surface distance that is tolerable", "mm", 0.0, 100.0, advanced=False)
    hausdorff_good: float = option(6.0, "95 % Hausdorff distance that is good", "mm", 0.0, 200.0)
    hausdorff_tolerable: float = option(9.0, "95 % Hausdorff distance that is tolerable", "mm", 0.0, 200.0)
    dice_good: float = option(0.9, "Dice overlap that is good", "", 0.0, 1.0, advanced=False)
    dice_tolerable: float = option(0.8, "Dice overlap that is tolerable", "", 0.0, 1.0, advanced=False)
    folded_good: float = option(0.0, "share of folded voxels that is good", "%", 0.0, 100.0, advanced=False)
    folded_tolerable: float = option(0.0, "share of folded voxels that is tolerable", "%", 0.0, 100.0, advanced=False)
    determinant_good: float = option(0.1, "1st percentile of the determinant that is good", "", 0.0, 1.0)
    determinant_tolerable: float = option(0.001, "1st percentile of the determinant that is tolerable", "", 0.0, 1.0)
    inverse_good: float = option(2.0, "mean inverse consistency that is good", "mm", 0.0, 100.0)
    inverse_tolerable: float = option(3.0, "mean inverse consistency that is tolerable", "mm", 0.0, 100.0)

    def light(self, measure: str, value: float | None) -> Light:
        """The light of a value of `landmarks`, `surface`, `hausdorff`, `dice`, `folded`, `determinant`, `inverse`."""
        good, tolerable = getattr(self, f"{measure}_good"), getattr(self, f"{measure}_tolerable")
        if value is None or math.isnan(value):
            return "none"
        if measure in HIGHER_IS_BETTER:
            good, tolerable, value = -good, -tolerable, -value
        return "green" if value <= good else "amber" if value <= tolerable else "red"


HIGHER_IS_BETTER = ("dice", "determinant")
MEASURES = ("landmarks", "surface", "hausdorff", "dice", "folded", "determinant", "inverse")


def worst(lights: list[Light] | tuple[Light, ...]) -> Light:
    """The light of a whole: that of its worst part; `none` where nothing was judged."""
    return max(lights, key=RANKS.index, default="none")


def check_limits(limits: LimitOptions) -> LimitOptions:
    """Returns the limits, or raises RegistrationError where something tolerable would be better than good."""
    for measure in MEASURES:
        good, tolerable = getattr(limits, f"{measure}_good"), getattr(limits, f"{measure}_tolerable")
        if (tolerable > good) if measure in HIGHER_IS_BETTER else (tolerable < good):
            raise RegistrationError(
                f"The limits for {measure} call {tolerable:g} tolerable and {good:g} good: what is good must be "
                "the stricter one."
            )
    return limits


def own_limits_file() -> Path:
    """Where a user's limits are saved, for the panel and the command line alike."""
    return Path.home() / ".diffreg" / "review_limits.json"


def read_limits(path: Path | None = None) -> LimitOptions:
    """The saved limits of the user or of a file; the defaults where the user has saved none."""
    file = path or own_limits_file()
    if path is None and not file.is_file():
        return LimitOptions()
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RegistrationError(f"{file} cannot be read as limits: save them again.") from None
    if not isinstance(values, dict):
        raise RegistrationError(f"{file} holds no limits: save them again.")
    return check_limits(from_dict(LimitOptions, values))


def write_limits(limits: LimitOptions, path: Path | None = None) -> Path:
    """Saves limits as the user's, or in a file of their own; returns where."""
    file = path or own_limits_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(to_dict(check_limits(limits)), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RegistrationError(f"{file} cannot be written ({error.strerror}): choose another place.") from None
    return file
