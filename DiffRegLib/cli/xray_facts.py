"""What `diffreg info` says of an X-ray: size, how it was taken, its grey scale, and what is missing for a camera."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Facts = list[tuple[str, str]]

TAGS = {
    "modality": "0008|0060",
    "imager spacing": "0018|1164",
    "source to detector": "0018|1110",
    "source to patient": "0018|1111",
    "source to isocenter": "0018|9402",
    "view position": "0018|5101",
    "orientation": "0020|0020",
    "turned": "0018|7032",
    "flipped": "0018|7034",
    "relation": "0028|1040",
    "sign": "0028|1041",
    "photometric": "0028|0004",
}
PRIMARY, SECONDARY = "0018|1510", "0018|1511"


def xray_facts(path: str) -> Facts:
    """Names and values for a picture or a DICOM image, every frame's angles of a run."""
    from DiffRegLib.files.dicom import read_frames
    from DiffRegLib.files.series import is_dicom
    from DiffRegLib.radiographs.xray import read_xray

    if not is_dicom(Path(path)):
        picture = read_xray(path, 1)
        values, (rows, columns) = picture.values, picture.size
        return [
            ("kind", "X-ray or other picture, without DICOM tags"),
            ("pixels", f"{columns} x {rows}, of the first image where there are several"),
            ("range", f"{values.min():.6g} to {values.max():.6g}"),
            ("grey scale", _shown(picture.inverted)),
            ("camera", "a pose needs its geometry as a file: --geometry"),
        ]
    run = read_frames(Path(path))
    count, rows, columns = run.values.shape
    tags = run.tags[0]
    of = f", a run of {count} frames" if count > 1 else ""
    return [
        ("kind", f"X-ray, DICOM {_tag(tags, 'modality') or 'of no modality'}{of}"),
        ("pixels", f"{columns} x {rows}"),
        *_geometry(tags),
        ("angles", _angles(run.tags)),
        *_table(run.tags, path),
        ("orientation", _orientation(tags)),
        ("grey scale", _grey_scale(tags, run.inverted)),
        ("range", f"{run.values.min():.6g} to {run.values.max():.6g}, as stored"),
        ("camera", _camera(tags, (rows, columns), path)),
    ]


def _tag(tags: Mapping[str, str], name: str) -> str:
    return tags.get(TAGS[name], "").strip()


def _geometry(tags: Mapping[str, str]) -> Facts:
    spacing = [_short(part) for part in _tag(tags, "imager spacing").split("\\") if part]
    shown = f"{' x '.join((spacing * 2)[:2])} mm on the detector (rows, columns)" if spacing else "not stated"
    stated = {name: _short(_tag(tags, name)) for name in TAGS if name.startswith("source")}
    distances = [f"{name} {value} mm" for name, value in stated.items() if value]
    return [("spacing", shown), ("distances", ", ".join(distances) or "not stated")]


def _short(number: str) -> str:
    """A number without its zeros; any other text as it is."""
    try:
        return f"{float(number):g}"
    except ValueError:
        return number


def _angles(frames: tuple[Mapping[str, str], ...]) -> str:
    """Primary and secondary angle, of a run from its first to its last frame."""
    ends = [tuple(_short(t.get(key, "").strip()) for key in (PRIMARY, SECONDARY)) for t in (frames[0], frames[-1])]
    if not any(ends[0]):
        return "not stated"
    words = [f"primary {first or '?'}, secondary {second or '?'} degrees" for first, second in ends]
    return words[0] if ends[0] == ends[1] else f"{words[0]} to {words[1]}"


def _table(frames: tuple[Mapping[str, str], ...], path: str) -> Facts:
    """How far the table carried the patient in a run, where the file says something of it."""
    from DiffRegLib.camera import table_moves
    from DiffRegLib.errors import RegistrationError

    try:
        move = table_moves((frames[0], frames[-1]), (path, path))[1]
    except RegistrationError as error:
        return [("table", error.worded(option=lambda name: f"--{name}").removeprefix(f"{path} "))]
    if not move.any():
        return []
    return [
        ("table", "carried the patient by " + ", ".join(f"{a} {v:g}" for a, v in zip("RAS", move.tolist())) + " mm")
    ]


def _orientation(tags: Mapping[str, str]) -> str:
    """How the image lies in the patient, or what was done to it since its detector took it."""
    lies = _tag(tags, "orientation") or _tag(tags, "view position")
    turned, flipped = _short(_tag(tags, "turned")), _tag(tags, "flipped").upper() == "YES"
    done = [f"turned by {turned} degrees"] * (turned not in ("", "0")) + ["flipped left to right"] * flipped
    return (
        "; ".join(([lies] if lies else []) + ([" and ".join(done) + " on its detector"] if done else []))
        or "not stated"
    )


def _grey_scale(tags: Mapping[str, str], inverted: bool) -> str:
    relation, sign = _tag(tags, "relation"), _tag(tags, "sign")
    known = {"LIN": "linear to the beam", "LOG": "logarithmic"}.get(relation, "relation to the beam not stated")
    signs = {"1": ", stored values rise with the beam (bone is low)", "-1": ", stored values fall with the beam"}
    return f"{known}{signs.get(sign, '')}; {_shown(inverted)} ({_tag(tags, 'photometric') or 'not stated'})"


def _shown(inverted: bool) -> str:
    return "low values are shown bright" if inverted else "high values are shown bright"


def _camera(tags: Mapping[str, str], size: tuple[int, int], path: str) -> str:
    """Whether the tags describe a camera, or the sentence that says what is missing."""
    from DiffRegLib.camera import from_dicom
    from DiffRegLib.errors import RegistrationError

    try:
        from_dicom(tags, size, (0.0, 0.0, 0.0), path)
    except RegistrationError as error:
        return error.worded(option=lambda name: f"--{name}").removeprefix(f"{path} ")
    return "complete: the tags describe it"
