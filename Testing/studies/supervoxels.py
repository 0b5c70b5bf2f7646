"""Accuracy of supervoxel registration on the shared data, as markdown.

    python -m Testing.studies.supervoxels [--sets abdomen abdomen-sibling interpatient] [--model NETWORK]

Landmarks and labels are read to measure, never to register. The supervoxels come from the reference registration (the
moving scan is the reference), or from a network. CPU seconds are those of the process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.supervoxels import METHOD
from DiffRegLib.methods.supervoxels.model import read_model
from DiffRegLib.methods.supervoxels.pipeline import by_network, by_reference, register
from DiffRegLib.methods.supervoxels.reference import align
from Testing.studies.pairs import BETWEEN_PATIENTS, FILES, HEAD, Pair, load, worth

SETS = tuple(name for name in FILES if "brain" not in name and "lung" not in name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--model", help="a network, or the folder of its training")
    given = parser.parse_args()
    print(f"| set | by | {HEAD} | CPU seconds |\n|{'---|' * 8}")
    for name in given.sets:
        for row in rows(load(name), given.model):
            print(f"| {name} | {row} |", flush=True)


def rows(pair: Pair, model: str | None) -> Iterator[str]:
    """One line of the table after the other."""
    yield f"before | {worth(pair, pair.start)} | 0"
    initial = pair.start if pair.name == BETWEEN_PATIENTS else None
    options = METHOD.presets["between-patients" if pair.name == BETWEEN_PATIENTS else "within-a-patient"]["supervoxels"]
    begun = time.process_time()
    if model:
        sides = by_network(pair.images, read_model(model), initial, pair.paths)
    else:
        sides = by_reference(pair.images, None, align, initial)
    found = register(*pair.images, options, initial=initial, sides=sides)
    spent = time.process_time() - begun
    yield f"supervoxels by {'network' if model else 'reference'} | {worth(pair, found.transform)} | {spent:.0f}"
    begun = time.process_time()
    last = finished(found, pair.images)
    spent += time.process_time() - begun
    yield f"the same, finished on the images | {worth(pair, last.transform)} | {spent:.0f}"


if __name__ == "__main__":
    main()
