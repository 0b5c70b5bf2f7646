"""Accuracy of the neural field on the shared data, as markdown.

    python -m Testing.studies.neural [--sets abdomen brain ...] [--quality best] [--initial FOLDER] [--set NAME=VALUE]

Landmarks are read to measure, never to register. CPU seconds are those of the process; `--every` prints the error while
the field is optimized.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from DiffRegLib.files import read_transform
from DiffRegLib.methods.neural import PRESETS, NeuralOptions, register
from DiffRegLib.options import from_dict, option_fields, to_dict
from DiffRegLib.transforms.folds import least_determinant
from Testing.studies.pairs import BETWEEN_PATIENTS, FILES, Pair, load

SETS = tuple(name for name in FILES if name != BETWEEN_PATIENTS)
HEAD = "| set | before | after | median | largest | folded [%] | inconsistency [mm] | CPU s | wall s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--quality", choices=tuple(PRESETS), default="best")
    parser.add_argument("--initial", help="folder with SET.h5, transforms to start from")
    parser.add_argument("--set", nargs="*", default=(), help="options over the quality's, name=value[,value]")
    parser.add_argument("--every", type=int, default=0, help="print the error after so many steps")
    given = parser.parse_args()
    options = changed(PRESETS[given.quality], given.set)
    print(f"{HEAD}\n|{'---|' * 9}")
    for name in given.sets:
        initial = read_transform(Path(given.initial) / f"{name}.h5") if given.initial else None
        print(measure(load(name), options, initial, given.every), flush=True)


def changed(options: NeuralOptions, assignments: list[str]) -> NeuralOptions:
    """The options with `name=value` of the command line; lists with commas."""
    fields = {field.name: field for field in option_fields(NeuralOptions)}
    values = to_dict(options)
    for assignment in assignments:
        name, text = assignment.split("=")
        items = [fields[name].type(item) for item in text.split(",")]
        values[name] = items if fields[name].repeated else items[0]
    return from_dict(NeuralOptions, values)


def measure(pair: Pair, options: NeuralOptions, initial, every: int) -> str:
    """Registers one pair; its line of the table."""
    fixed, moving = pair.images
    source, target = (points.float() for points in pair.landmarks)
    cpu, wall, steps = time.process_time(), time.perf_counter(), 0

    def watch(field) -> None:
        nonlocal steps
        steps += 1
        if every and steps % every == 0:
            with torch.no_grad():
                at = field.transform()(source)
                at = at if initial is None else initial(at)
            error = (at - target).norm(dim=1).mean()
            print(f"    {pair.name} {steps}: {error:.3f} mm, {time.process_time() - cpu:.1f} CPU s", flush=True)

    result = register(fixed, moving, options, initial=initial, watch=watch)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    before = (source - target if initial is None else initial(source) - target).norm(dim=1).mean()
    error = (result.transform(source) - target).norm(dim=1)
    folded = 100 * float((least_determinant(result.transform.displacement(fixed).image) <= 0).float().mean())
    row = (before, error.mean(), error.median(), error.max())
    numbers = " | ".join(f"{float(value):.2f}" for value in row)
    inconsistency = result.metrics["field_inconsistency_mm"]
    return f"| {pair.name} | {numbers} | {folded:.4f} | {inconsistency:.2f} | {cpu:.0f} | {wall:.0f} |"


if __name__ == "__main__":
    main()
