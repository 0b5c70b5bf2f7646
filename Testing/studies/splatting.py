"""Accuracy of forward splatting on the shared data, as markdown.

    python -m Testing.studies.splatting [--sets p75 p50 p00 cut followup vessels phantom motion] [--cases 104 106]
        [--network WEIGHTS [--adaptation STEPS] [--alone]]

Landmarks are read to measure, never to register. Every set runs with one recipe, the preset of its kind of cloud.
network: leads in place of the search, adapted to each pair; alone: without the fine levels that follow it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.files import open_file
from DiffRegLib.geometry import Geometry
from DiffRegLib.methods.splatting import PRESETS, SplattingOptions, register
from DiffRegLib.methods.splatting.network import SplatNetwork
from DiffRegLib.methods.splatting.weights import read_network
from DiffRegLib.points import PointCloud
from DiffRegLib.points.extract import cloud_of
from DiffRegLib.review.metrics import folding, inverse_consistency, target_registration_error
from DiffRegLib.transforms import rigid

ROOT = Path(__file__).resolve().parents[2]
WHOLE = ("008", "097", "104", "106", "108", "110", "112")
HALVES = ("106", "108", "110", "112")
FOLDING_VOXEL = 3.0  # mm


@dataclass(frozen=True)
class Pair:
    """Two clouds to register, and the points (N, 3) whose motion is known."""

    name: str
    fixed: PointCloud
    moving: PointCloud
    fixed_truth: Tensor
    moving_truth: Tensor
    options: SplattingOptions


@dataclass(frozen=True)
class Row:
    """What is printed of one pair: mm, except the share of folded voxels, the smallest determinant and the seconds."""

    name: str
    before: float
    after: float
    largest: float
    folded: float
    determinant: float
    consistency: float
    residual: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=tuple(SETS))
    parser.add_argument("--cases", nargs="+", default=None, help="only these cases of lung_breathing")
    parser.add_argument("--network", help="trained weights, or their folder")
    parser.add_argument("--adaptation", type=int, default=SplattingOptions().adaptation)
    parser.add_argument("--alone", action="store_true", help="no fine levels after the network")
    given = parser.parse_args()
    data = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
    network = read_network(given.network) if given.network else None
    fine = {"fine_iterations": 0} if given.alone else {}
    for name in given.sets:
        pairs = SETS[name](data, given.cases)
        changed = (replace(p, options=replace(p.options, adaptation=given.adaptation, **fine)) for p in pairs)
        print_table(name, changed, network)


def print_table(title: str, pairs: Iterable[Pair], network: SplatNetwork | None = None) -> None:
    """Registers pair by pair and prints each row as soon as it is there, then the mean."""
    print(f"\n### {title}\n")
    print("| case | error before [mm] | after | largest after | folded [%] | smallest determinant |", end="")
    print(" inverse consistency, mean [mm] | residual of the inverse, largest [mm] | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for pair in pairs:
        rows.append(measure(pair, network))
        print(_line(rows[-1]), flush=True)
    if len(rows) > 1:
        values = np.array([[getattr(row, key) for key in Row.__annotations__ if key != "name"] for row in rows])
        print(_line(Row("**mean**", *values.mean(axis=0))), flush=True)


def measure(pair: Pair, network: SplatNetwork | None = None) -> Row:
    """Registers one pair and measures it at the points of known motion and on a grid around the fixed cloud."""
    result = register(pair.fixed, pair.moving, pair.options, network=network)
    after = target_registration_error(result.transform, pair.fixed_truth, pair.moving_truth)
    folds = folding(result.transform, Geometry.around(pair.fixed.points, FOLDING_VOXEL))
    return Row(
        pair.name,
        float((pair.fixed_truth - pair.moving_truth).norm(dim=1).mean()),
        float(after.mean()),
        float(after.max()),
        folds.percent,
        folds.minimum,
        inverse_consistency(result.transform, result.inverse, pair.fixed.points).mean,
        result.inverse_residual_mm,
        result.provenance.seconds,
    )


def _line(row: Row) -> str:
    numbers = f"{row.before:.2f} | {row.after:.2f} | {row.largest:.1f} | {row.folded:.3f} | {row.determinant:.2f} | "
    return f"| {row.name} | {numbers}{row.consistency:.3f} | {row.residual:.2f} | {row.seconds:.1f} |"


def breathing(share: str, cases: tuple[str, ...]) -> Callable[[Path, list[str] | None], Iterator[Pair]]:
    def pairs(data: Path, chosen: list[str] | None) -> Iterator[Pair]:
        for case in (c for c in cases if chosen is None or c in chosen):
            arrays = np.load(data / "lung_breathing" / f"case_{case}.npz")
            clouds = [PointCloud.plain(arrays[f"{phase}_{share}"]) for phase in ("insp", "exp")]
            truth = [torch.as_tensor(arrays[f"lm_{phase}"]) for phase in ("insp", "exp")]
            yield Pair(f"{case} {share}", *clouds, *truth, PRESETS["lung-vessels"])

    return pairs


def cut(data: Path, chosen: list[str] | None) -> Iterator[Pair]:
    for share in ("p75", "p50"):
        yield from breathing(share, ("055",))(data, chosen)


def followup(data: Path, chosen: list[str] | None) -> Iterator[Pair]:
    arrays = np.load(data / "lung_followup" / "lung_followup.npz")
    clouds = [PointCloud.plain(arrays[f"{side}_surface"]) for side in ("fixed", "moving")]
    truth = [torch.as_tensor(arrays[f"lm_{side}"]) for side in ("fixed", "moving")]
    yield Pair("surfaces", *clouds, *truth, PRESETS["organ-surfaces"])


def vessels(data: Path, chosen: list[str] | None) -> Iterator[Pair]:
    folder = data / "lung_ct_known_warp"
    clouds = [cloud_of(open_file(folder / f"{side}_ct.nii.gz").content) for side in ("fixed", "moving")]
    arrays = np.load(folder / "landmarks.npz")
    truth = [torch.as_tensor(arrays[side]).float() for side in ("fixed", "moving")]
    yield Pair("CT", *clouds, *truth, PRESETS["lung-vessels"])


def phantom(data: Path, chosen: list[str] | None) -> Iterator[Pair]:
    from DiffRegLib.phantom import breathing_phantom

    made = breathing_phantom()
    states = (made.fixed, made.moving)
    yield Pair("vessels", *(s.vessels for s in states), *(s.landmarks for s in states), PRESETS["lung-vessels"])


def motion(data: Path, chosen: list[str] | None) -> Iterator[Pair]:
    """A cloud on itself, and on itself turned by 10 degrees and shifted by 20 mm."""
    arrays = np.load(data / "lung_breathing" / "case_106.npz")
    surface = np.load(data / "lung_followup" / "lung_followup.npz")["fixed_surface"]
    for name, points, preset in (
        ("vessels", arrays["insp_p75"], "lung-vessels"),
        ("surface", surface, "organ-surfaces"),
    ):
        x = torch.as_tensor(points)
        turn = rigid(torch.tensor([0.0, 10.0, 0.0]), torch.tensor([20.0, 0.0, 0.0]), x.double().mean(0))
        for kind, y in (("identity", x), ("10 degrees, 20 mm", turn(x))):
            clouds = PointCloud.plain(x), PointCloud.plain(y)
            yield Pair(f"{name}, {kind}", *clouds, x, y, PRESETS[preset])


SETS = {
    "p75": breathing("p75", WHOLE),
    "p50": breathing("p50", WHOLE),
    "p00": breathing("p00", HALVES),
    "cut": cut,
    "followup": followup,
    "vessels": vessels,
    "phantom": phantom,
    "motion": motion,
}


if __name__ == "__main__":
    main()
