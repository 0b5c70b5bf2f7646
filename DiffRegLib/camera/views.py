"""The views of a geometry file: JSON objects whose keys are known, stated once, and belong together."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError

CARM = ("source_carm_minus_iso", "detector_centre_carm_minus_iso", "u_column_direction", "v_row_direction")
CT = ("source_ct", "detector_centre_ct", "u_ct", "v_ct")
MATRIX, ANGLES = "projection_matrix", "positioner_angles_deg"
KEYS = (
    *CARM,
    *CT,
    MATRIX,
    ANGLES,
    "isocentre_ct_mm",
    "source_detector_mm",
    "pixel_mm",
    "field_mm",
    "size_px",
    "M",
    "params",
)
MISSPELT = 0.9  # of its letters are those of a known key, in their order


def read_views(path: str | Path, count: int) -> list[dict[str, Any]]:
    """What a file says of each of `count` views, with what it says of all of them.

    Raises RegistrationError that names the file: missing, no JSON, of another number of views, or with keys that are
    misspelt, stated twice, or without those that they need.
    """
    if not Path(path).exists():
        raise RegistrationError(f"{path} does not exist: check the name of the geometry.", path=path)
    try:
        content = json.loads(Path(path).read_bytes(), object_pairs_hook=_once)
    except KeyError as error:
        raise RegistrationError(f"{path} states {error.args[0]} twice: remove one of them.", path=path) from None
    except (OSError, ValueError):
        raise RegistrationError(f"{path} is not readable as JSON: give a geometry file.", path=path) from None
    if not isinstance(content, dict):
        raise RegistrationError(f"{path} is no geometry: give a JSON object with the place of source and detector.")
    shared = {key: value for key, value in content.items() if key != "views"}
    listed = content.get("views", [{}])
    if not isinstance(listed, list) or not all(isinstance(view, dict) for view in listed):
        raise RegistrationError(f"{path} has no list of objects as views: give one JSON object a view.")
    views = [{**shared, **view} for view in listed]
    for view in views:
        _check_keys(view, str(path))
    if len(views) != count:
        raise RegistrationError(
            f"{path} describes {len(views)} view{'s' * (len(views) != 1)} for {count} X-ray"
            f"{'s' * (count != 1)}: give one geometry a view."
        )
    return views


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; raises KeyError with a key that it has twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise KeyError(key)
        found[key] = value
    return found


def _check_keys(view: dict[str, Any], name: str) -> None:
    """Raises where a key is a known one written wrongly, and where the source is placed twice, or turned unplaced."""
    for key in view:
        meant = difflib.get_close_matches(key, KEYS, 1, MISSPELT)
        if key not in KEYS and meant:
            raise RegistrationError(f"{name} has the key {key}, which is not known: write {meant[0]}.", path=name)
    if MATRIX in view and CT[0] in view:
        raise RegistrationError(f"{name} places the source twice, by {MATRIX} and by {CT[0]}: remove one.", path=name)
    if ANGLES in view and CARM[0] not in view:
        raise RegistrationError(f"{name} has {ANGLES} without {CARM[0]}, which they turn: give it in mm.", path=name)
