"""Accuracy of supervoxel registration on the shared data, as markdown.

    python -m Testing.studies.supervoxels [--sets abdomen abdomen-sibling interpatient] [--model NETWORK] [--peers]

Landmarks and labels are read to measure, never to register. The supervoxels come from the reference registration (the
moving scan is the reference), and from a network where one is named. CPU seconds are those of the process.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.supervoxels import METHOD
from DiffRegLib.methods.supervoxels.model import read_model
from DiffRegLib.methods.supervoxels.pipeline import by_network, by_reference, once_more, register
from DiffRegLib.methods.supervoxels.reference import align
from Testing.studies import dense, peers
from Testing.studies.pairs import BETWEEN_PATIENTS, FILES, HEAD, Pair, load, worth

SETS = tuple(name for name in FILES if "brain" not in name and "lung" not in name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--model", help="a network, or the folder of its training")
    parser.add_argument("--peers", action="store_true", help="an affine, ConvexAdam and elastix in the same run")
    given = parser.parse_args()
    print(f"| set | by | {HEAD} | CPU seconds |\n|{'---|' * 8}")
    for name in given.sets:
        pair = load(name)
        print(f"| {name} | before | {worth(pair, pair.start)} | 0 |", flush=True)
        parts = [others(pair)] if given.peers else []
        parts += [rows(pair, model) for model in ([None, given.model] if given.model else [None])]
        for row in itertools.chain(*parts):
            print(f"| {name} | {row} |", flush=True)


def others(pair: Pair) -> Iterator[str]:
    """What else there is, where it is installed."""
    for method in ("affine", *(name for name in peers.PACKAGES if peers.there(name))):
        begun = time.process_time()
        transform = dense.METHODS[method](pair)
        yield f"{method} | {worth(pair, transform)} | {time.process_time() - begun:.0f}"


def rows(pair: Pair, path: str | None) -> Iterator[str]:
    """By a network or the reference registration: alone, and finished on the images."""
    initial = pair.start if pair.name == BETWEEN_PATIENTS else None
    options = METHOD.presets["between-patients" if pair.name == BETWEEN_PATIENTS else "within-a-patient"]["supervoxels"]
    begun, by = time.process_time(), "network" if path else "reference"
    model = read_model(path) if path else None
    try:
        sides = (
            by_network(pair.images, model, initial, pair.paths)
            if model is not None
            else by_reference(pair.images, None, align, initial)
        )
    except RegistrationError as refusal:
        yield f"supervoxels by {by} | {refusal} | | | | | "
        return
    found = register(*pair.images, options, initial=initial, sides=sides)
    spent = time.process_time() - begun
    yield f"supervoxels by {by} | {worth(pair, found.transform)} | {spent:.0f}"
    if model is not None:
        begun = time.process_time()
        again = once_more(found, pair.images, sides[0], model, options, pair.paths)
        yield f"looked at twice | {worth(pair, again.transform)} | {spent + time.process_time() - begun:.0f}"
    begun = time.process_time()
    last = finished(found, pair.images)
    spent += time.process_time() - begun
    yield f"the same by {by}, finished on the images | {worth(pair, last.transform)} | {spent:.0f}"


if __name__ == "__main__":
    main()
