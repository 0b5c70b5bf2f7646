"""`diffreg phantom FOLDER`: the analytic patient as files, to try every other verb on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from DiffRegLib.errors import RegistrationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    parser.add_argument("folder", metavar="FOLDER", help="folder to make; it must not exist or be empty")
    group = parser.add_argument_group("patient")
    for name, kind, default, text in (
        ("spacing", float, 3.0, "voxel size [mm]"),
        ("amplitude", float, 15.0, "mean motion of the lungs between the states [mm]"),
        ("noise", float, 0.0, "standard deviation of the noise in both images [HU]"),
        ("landmarks", int, 100, "number of bifurcations that are known in both states"),
        ("seed", int, 0, "decides vessels, noise and landmarks"),
    ):
        metavar = kind.__name__.upper()
        group.add_argument(
            f"--{name}", type=kind, default=default, metavar=metavar, help=f"{text} (default: {default})"
        )


def run(given: argparse.Namespace) -> int:
    """Writes the phantom and prints the names of its files."""
    from DiffRegLib.cli.workspace import put, workspace

    target = Path(os.path.abspath(given.folder))
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise RegistrationError(f"{target} exists and is not an empty folder: choose another name.")
    with workspace(target) as space:
        made = space / "phantom"
        made.mkdir()
        _write(given, made)
        put(made, target, space)
    print(f"Wrote {target}: fixed is inspiration, moving is expiration.")
    for path in sorted(target.iterdir()):
        print(f"  {path.name}")
    return 0


def _write(given: argparse.Namespace, folder: Path) -> None:
    from DiffRegLib.image import write_image
    from DiffRegLib.phantom import LABELS, breathing_phantom
    from DiffRegLib.phantom.surfaces import write_surface
    from DiffRegLib.points.io import write_cloud, write_landmarks
    from DiffRegLib.transforms import write_transform

    phantom = breathing_phantom(given.spacing, given.seed, given.amplitude, given.noise, given.landmarks)
    for side, state in (("fixed", phantom.fixed), ("moving", phantom.moving)):
        write_image(state.image, folder / f"{side}_ct.nii.gz", "int16")
        write_image(state.labels, folder / f"{side}_labels.nii.gz", "uint8")
        write_cloud(state.vessels, folder / f"{side}_vessels.csv")
        write_landmarks(state.landmarks, folder / f"{side}_landmarks.csv")
        for label, surface in state.surfaces.items():
            write_surface(surface, folder / f"{side}_{LABELS[label].replace(' ', '_')}.vtp")
    grid = phantom.fixed.image.geometry
    write_transform(phantom.transform.displacement(grid), folder / "transform.h5")
    write_transform(phantom.inverse.displacement(grid), folder / "inverse.h5")
