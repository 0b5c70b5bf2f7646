"""What is refused before any work begins."""

from __future__ import annotations

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.thresholds import THRESHOLDS
from DiffRegLib.options import validate
from DiffRegLib.points import PointCloud


def check_options(options: SplattingOptions) -> None:
    """Raises `RegistrationError` for values out of range and for schedules that do not fit together."""
    validate(options)
    if options.smoothing_kernel % 2 == 0:
        raise RegistrationError(
            f"{{smoothing_kernel}} is {options.smoothing_kernel}: give an odd number.", option="smoothing_kernel"
        )
    lengths = {len(options.search_radius), len(options.search_sigma), len(options.search_patch)}
    if options.search and len(lengths) != 1:
        raise RegistrationError(
            "{search_radius}, {search_sigma} and {search_patch} have different lengths: give one value a pass to each.",
            option=("search_radius", "search_sigma", "search_patch"),
        )


def comparable(fixed: PointCloud, moving: PointCloud) -> tuple[PointCloud, PointCloud]:
    """Both clouds with the labels that they share; raises `RegistrationError` where they cannot be registered."""
    fixed.check("The fixed cloud")
    moving.check("The moving cloud")
    shared = tuple(label for label in fixed.labels if label in moving.labels)
    if not shared:
        raise RegistrationError(
            f"The fixed cloud has the labels {_list(fixed.labels)} and the moving cloud {_list(moving.labels)}: "
            "give clouds that share at least one label."
        )
    pair = fixed.with_labels(shared), moving.with_labels(shared)
    for cloud, name in zip(pair, ("fixed", "moving")):
        if len(cloud) < THRESHOLDS.fewest_points:
            raise RegistrationError(
                f"The {name} cloud has {len(cloud)} points of the labels that both clouds have: "
                f"a registration needs at least {THRESHOLDS.fewest_points}."
            )
    return pair


def _list(labels: tuple[int, ...]) -> str:
    return ", ".join(map(str, labels[:5])) + (", ..." if len(labels) > 5 else "")
