"""Whether the uncertainty that a pose states holds, on anatomies on which it was not calibrated.

    python -m Testing.studies.calibration RECORD [--picture FILE]

RECORD holds what `anatomies recipe --record` wrote. Of each anatomy the errors in the six directions (turns as mm at
100 mm from the center) are divided by the stated deviations times a factor; the factor is the one with which 68 % of
the errors of all *other* anatomies lie within one deviation. Of a normal distribution 68 % lie within one and 95 %
within two. Poses that lie on another hill, more than `HILL` mm off, are counted but take no part: no curvature says
how far they are away, the verdict has to.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

HILL = 15.0  # mm
WITHIN = 0.683  # of a normal distribution, of one deviation
DIRECTIONS = ("turns", "shifts", "depth")
PARTS = {"turns": slice(0, 3), "shifts": slice(3, 5), "depth": slice(5, 6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path)
    parser.add_argument("--picture", type=Path, help="a plot of stated against found coverage")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.record.read_text().splitlines()]
    near = [row for row in rows if row["mm"] < HILL]
    print(f"{len(rows)} poses, {len(rows) - len(near)} on another hill\n")
    ratios = _ratios(near)
    _print(ratios)
    if arguments.picture:
        _plot(ratios, arguments.picture)


def _ratios(rows: list[dict]) -> dict[str, np.ndarray]:
    """(N,6) of each anatomy: errors over the deviations that were stated."""
    found = defaultdict(list)
    for row in rows:
        deviation = np.sqrt(np.diag(np.array(row["covariance"])))
        found[row["set"]].append(np.abs(np.array(row["off"])) / deviation)
    return {name: np.array(values) for name, values in found.items()}


def factor(ratios: dict[str, np.ndarray], without: str = "") -> float:
    """What the stated deviations are to be multiplied by, of all anatomies but one."""
    return float(np.quantile(np.concatenate([v.ravel() for name, v in ratios.items() if name != without]), WITHIN))


def _print(ratios: dict[str, np.ndarray]) -> None:
    heads = " | ".join(f"{name}: one, two" for name in (*DIRECTIONS, "all"))
    print(f"| anatomy | poses | factor of the others | {heads} |")
    print("|---|---|---|" + "---|" * (len(DIRECTIONS) + 1))
    scaled = {name: values / factor(ratios, name) for name, values in ratios.items()}
    for name, values in scaled.items():
        print(f"| {name} | {len(values)} | {factor(ratios, name):.2f} | {_coverage(values)} |")
    everything = np.concatenate(list(scaled.values()))
    print(f"| all, each by the others | {len(everything)} | | {_coverage(everything)} |")
    stated = np.concatenate(list(ratios.values()))
    print(f"| all, as stated | {len(stated)} | 1, {factor(ratios):.2f} would fit | {_coverage(stated)} |")


def _coverage(values: np.ndarray) -> str:
    parts = [values[:, PARTS[name]] for name in DIRECTIONS] + [values]
    return " | ".join(f"{100 * np.mean(p < 1):.0f} %, {100 * np.mean(p < 2):.0f} %" for p in parts)


def _plot(ratios: dict[str, np.ndarray], path: Path) -> None:
    """Part of the errors within so many deviations, of each anatomy by the factor of the others."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=100)
    axes = figure.add_subplot()
    deviations = np.linspace(0, 3, 61)
    normal = np.array([_normal(d) for d in deviations])
    axes.plot(deviations, normal, "k--", label="normal distribution")
    for name, values in ratios.items():
        sizes = (values / factor(ratios, name)).ravel()
        axes.plot(deviations, [np.mean(sizes < d) for d in deviations], label=f"{name} ({len(values)} poses)")
    axes.set(xlabel="stated standard deviations", ylabel="part of the errors within", xlim=(0, 3), ylim=(0, 1))
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


def _normal(deviations: float) -> float:
    from math import erf, sqrt

    return erf(deviations / sqrt(2))


if __name__ == "__main__":
    main()
