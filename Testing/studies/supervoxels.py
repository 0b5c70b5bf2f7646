"""Accuracy of supervoxel registration on the shared data, as markdown.

    python -m Testing.studies.supervoxels [--sets abdomen ...] [--model NETWORK]

Landmarks and labels are read to measure, never to register. The supervoxels come from the reference registration (the
moving scan is the reference), or from a network. CPU seconds are those of the process.
"""

from __future__ import annotations

import argparse
import time

from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.supervoxels.model import read_model
from DiffRegLib.methods.supervoxels.pipeline import by_network, by_reference, register
from DiffRegLib.methods.supervoxels.reference import align
from DiffRegLib.transforms import Affine
from Testing.studies.pairs import PAIRS, Pair, worth

HEAD = "| set | by | mean [mm] | largest [mm] | Dice | folded [%] | CPU s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(PAIRS), default=tuple(PAIRS))
    parser.add_argument("--model", help="a network, or the folder of its training")
    given = parser.parse_args()
    print(f"{HEAD}\n|{'---|' * 7}")
    for name in given.sets:
        for row in rows(PAIRS[name], given.model):
            print(f"| {name} | {row} |", flush=True)


def rows(pair: Pair, model: str | None):
    """One line of the table after the other."""
    yield f"before | {worth(pair, Affine.identity())} | 0"
    scans = pair.images()
    begin = time.process_time()
    names = (pair.fixed, pair.moving)
    sides = by_network(scans, read_model(model), None, names) if model else by_reference(scans, None, align)
    found = register(*scans, sides=sides)
    middle = time.process_time()
    by = "network" if model else "reference"
    yield f"supervoxels by {by} | {worth(pair, found.transform)} | {middle - begin:.0f}"
    begun = time.process_time()
    last = finished(found, scans)
    spent = middle - begin + time.process_time() - begun
    yield f"the same, finished on the images | {worth(pair, last.transform)} | {spent:.0f}"


if __name__ == "__main__":
    main()
