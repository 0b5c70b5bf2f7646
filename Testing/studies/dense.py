"""Accuracy of the image-driven registration on the shared data beside its peers, as markdown.

    python -m Testing.studies.dense [--sets abdomen lung-sibling ...] [--methods affine dense convexadam elastix]

Landmarks and labels are read to measure, never to register. Every set runs with one recipe, the default; "affine" is
its first part alone. Seconds are those of all cores together (CPU).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import align
from DiffRegLib.methods.dense import register
from DiffRegLib.transforms import Transform
from Testing.studies import peers
from Testing.studies.pairs import FILES, HEAD, Pair, load, worth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(FILES), default=tuple(FILES))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    given = parser.parse_args()
    print(f"| set | method | {HEAD} | CPU seconds |\n|{'---|' * 8}")
    for name in given.sets:
        pair = load(name)
        print(f"| {name} | before | {worth(pair, pair.start)} | 0 |", flush=True)
        for method in given.methods:
            if method in peers.PACKAGES and not peers.there(method):
                continue
            begun = time.process_time()
            transform = METHODS[method](pair)
            spent = time.process_time() - begun
            print(f"| {name} | {method} | {worth(pair, transform)} | {spent:.0f} |", flush=True)


def affine(pair: Pair) -> Transform:
    return align(*pair.images, DenseOptions(), pair.start).placement


def dense(pair: Pair) -> Transform:
    return register(*pair.images, initial=pair.start).transform


METHODS: dict[str, Callable[[Pair], Transform]] = {
    "affine": affine,
    "dense": dense,
    "convexadam": peers.convexadam,
    "elastix": peers.elastix,
}


if __name__ == "__main__":
    main()
