"""The phantom as a folder of files, named as a person would look for them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import write_image
from DiffRegLib.phantom.anatomy import LABELS
from DiffRegLib.phantom.options import PhantomOptions
from DiffRegLib.phantom.patient import Phantom, State, breathing_phantom
from DiffRegLib.phantom.surfaces import write_surface
from DiffRegLib.transforms import write_transform


def write_phantom(folder: str | Path, options: PhantomOptions | None = None) -> Phantom:
    """Makes the patient and writes it into `folder`, which must be new or empty; every file is in patient space.

    For `fixed` (inspiration) and `moving` (expiration): `*_ct.nii.gz`, `*_labels.nii.gz`, `*_vessels.csv` (value is the
    radius in mm, label that of the lung), `*_landmarks.csv` (row i belongs to row i), `*_<organ>.vtp`.
    `transform.h5` maps fixed to moving, `inverse.h5` back, both sampled on the images' grid; `phantom.json`
    names the options and the labels.
    Raises `RegistrationError` that names the folder if it is in use or cannot be written.
    """
    folder, options = Path(folder), options or PhantomOptions()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise RegistrationError(f"{folder} cannot be written ({error.strerror}): choose another folder.") from None
    if occupied:
        raise RegistrationError(f"{folder} is not empty: choose a new folder for the phantom.")
    phantom = breathing_phantom(**dataclasses.asdict(options))
    for name in ("fixed", "moving"):
        _write_state(getattr(phantom, name), folder, name)
    geometry = phantom.fixed.image.geometry
    write_transform(phantom.transform.displacement(geometry), folder / "transform.h5")
    write_transform(phantom.inverse.displacement(geometry), folder / "inverse.h5")
    description = {"options": dataclasses.asdict(options), "labels": LABELS, "unit": "mm", "frame": "RAS"}
    (folder / "phantom.json").write_text(json.dumps(description, indent=2) + "\n")
    return phantom


def _write_state(state: State, folder: Path, name: str) -> None:
    from DiffRegLib.files import write_cloud, write_landmarks

    write_image(state.image, folder / f"{name}_ct.nii.gz", "int16")
    write_image(state.labels, folder / f"{name}_labels.nii.gz", "uint8")
    write_cloud(state.vessels, folder / f"{name}_vessels.csv")
    write_landmarks(state.landmarks, folder / f"{name}_landmarks.csv")
    for label, surface in state.surfaces.items():
        write_surface(surface, folder / f"{name}_{LABELS[label]}.vtp")
